"""Failures and dead letters as the viewer reads them, and what it records about where their messages are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString

from psycopg.rows import class_row

from pipeline.message import storable
from pipeline.search.sql import IS_DEAD, IS_DUPLICATE, IS_LOST, IS_OPEN, IS_SENT_BACK
from pipeline.store.connection import Database
from pipeline.store.copies import IS_COPY
from pipeline.store.redrives import Redrives

# Why a message is in no queue any more: its queues were created anew since it was last seen, SQS deleted it
# at the end of its retention period, or it is not there and nothing says why.
LostReason = Literal["queue", "retention", "missing"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed and did not succeed since, with its reason. `message_id` is SQS's.

    `status` is dead while it lies in the dead-letter queue of `queue`, and lost once it is in neither of the
    two: `lost_at` is when that was noticed. A lost one that had attempts left has no `dead_at`. `redriven_at`
    is when it was last sent back to the queue, `copy_succeeded_at` when a message of the same source, id and
    body last succeeded under another SQS id; each is None if that never happened.
    """

    queue: str
    message_id: str
    source: str
    id: str
    type: str
    time: datetime
    title: str | None
    preview: str
    error_type: str
    error: str
    traceback: str
    tries: int
    first_failed_at: datetime
    last_failed_at: datetime
    dead_at: datetime | None
    redriven_at: datetime | None
    status: Literal["dead", "lost"]
    lost_at: datetime | None
    lost_reason: LostReason | None
    copy_succeeded_at: datetime | None


@dataclass(frozen=True, slots=True)
class WholeDeadLetter(DeadLetter):
    """A dead letter with its body as published, and how it was (see StoredMessage)."""

    body: str
    attributes: Mapping[str, str]
    topic: str | None
    topic_arn: str | None
    subject: str | None
    attribute_types: Mapping[str, str] | None
    sns_message_id: str | None
    group_id: str | None
    deduplication_id: str | None
    sequence_number: str | None
    copy_of: str | None


@dataclass(frozen=True, slots=True)
class PastDelivery:
    """One receipt of a message and its result: stored, failed, or both if a later handler failed.

    `duplicate` says that the message was stored already and had not failed.
    """

    message_id: str
    receive_count: int
    sent_at: datetime
    received_at: datetime
    stored_at: datetime | None
    duplicate: bool
    failed_at: datetime | None
    error_type: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message that had failed, under one of its SQS ids; None for what did not happen."""

    message_id: str
    dead_at: datetime | None
    redriven_at: datetime | None
    resolved_at: datetime | None
    lost_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenFailures:
    """How many messages failed and are still in a queue or in its dead-letter queue, as far as is known.

    `in_place` are those that were not sent back, and so are known by their SQS id. `changed_at` is when the
    last of all failed or was sent back, `read_at` when this was read, both by the clock of the store.
    """

    count: int
    in_place: int
    changed_at: datetime | None
    read_at: datetime


LETTER_COLUMNS: LiteralString = f"""
    f.queue, f.message_id, f.source, f.id, f.type, f.time, f.title, f.preview, f.error_type, f.error,
    f.traceback,
    f.tries, f.first_failed_at, f.last_failed_at, f.dead_at,
    -- A redrive may have given the message another SQS id.
    (SELECT max(o.redriven_at) FROM failures o
     WHERE o.queue = f.queue AND o.identity = f.identity AND o.content = f.content) AS redriven_at,
    CASE WHEN {IS_DEAD} THEN 'dead' ELSE 'lost' END AS status, f.lost_at, f.lost_reason,
    f.copy_succeeded_at"""

PUBLICATION_COLUMNS: LiteralString = f"""
    f.topic, f.topic_arn, f.subject, f.attribute_types, f.sns_message_id, f.group_id, f.deduplication_id,
    f.sequence_number,
    (SELECT k.copy_of FROM failures m JOIN copies k ON {IS_COPY}
     WHERE m.queue = f.queue AND m.message_id = f.message_id LIMIT 1) AS copy_of"""

# A try that failed after it had stored the message, or found it stored, is one delivery in two tables.
DELIVERIES: LiteralString = f"""
    WITH m AS (SELECT * FROM messages WHERE seq = %(seq)s)
    SELECT message_id, receive_count, min(sent_at) AS sent_at, received_at,
           max(stored_at) AS stored_at, bool_or(duplicate) AS duplicate,
           max(failed_at) AS failed_at, max(error_type) AS error_type, max(error) AS error
    FROM (SELECT message_id, receive_count, sent_at, received_at, stored_at, false AS duplicate,
                 NULL::timestamptz AS failed_at, NULL AS error_type, NULL AS error
          FROM m
          UNION ALL
          SELECT d.message_id, d.receive_count, d.sent_at, d.received_at, NULL, {IS_DUPLICATE}, NULL,
                 NULL, NULL
          FROM duplicates d JOIN m USING (seq)
          UNION ALL
          SELECT t.message_id, t.receive_count, t.sent_at, t.received_at, NULL, false, t.failed_at,
                 t.error_type, t.error
          FROM failed_tries t JOIN failures f USING (queue, message_id)
               JOIN m USING (queue, identity, content)) AS one
    GROUP BY message_id, receive_count, received_at ORDER BY received_at"""

OUTCOMES: LiteralString = """
    SELECT f.message_id, f.dead_at, f.redriven_at, f.resolved_at, f.lost_at
    FROM failures f JOIN messages m USING (queue, identity, content) WHERE m.seq = %s
    ORDER BY f.first_failed_at"""

# The last time that a message which failed was known to be in one of its queues.
LAST_SEEN: LiteralString = "greatest(f.last_failed_at, f.redriven_at)"
# SQS counts the retention period from here: anew when a message is moved, but only in a FIFO queue ("Using
# dead-letter queues in Amazon SQS", AWS).
RETAINED_FROM: LiteralString = """
    CASE WHEN f.queue LIKE '%%.fifo' THEN greatest(f.last_failed_at, f.redriven_at)
         ELSE greatest(f.redriven_at, (SELECT max(t.sent_at) FROM failed_tries t
                                       WHERE t.queue = f.queue AND t.message_id = f.message_id)) END"""


class FailureReader:
    """Reads failures. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database
        self.redrives = Redrives(database)

    def deliveries(self, seq: int) -> list[PastDelivery]:
        """Return every receipt of a stored message, the first one first."""
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(PastDelivery))
            return cursor.execute(DELIVERIES, {"seq": seq}).fetchall()

    def outcomes(self, seq: int) -> list[Outcome]:
        """Return what became of a stored message that had failed; nothing if it never did."""
        with self._database.connection() as connection:
            return connection.cursor(row_factory=class_row(Outcome)).execute(OUTCOMES, [seq]).fetchall()

    def dead_letters(self, limit: int = 1000) -> list[DeadLetter]:
        """Return the messages that are in a dead-letter queue now, the last one to die first."""
        return self._letters(IS_DEAD, "f.dead_at", limit)

    def lost(self, limit: int = 1000) -> list[DeadLetter]:
        """Return the messages that are lost, the last one that was noticed first."""
        return self._letters(IS_LOST, "f.lost_at", limit)

    def _letters(self, condition: LiteralString, order: LiteralString, limit: int) -> list[DeadLetter]:
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS} FROM failures f WHERE {condition} ORDER BY {order} DESC LIMIT %s"
        )
        with self._database.connection() as connection:
            return connection.cursor(row_factory=class_row(DeadLetter)).execute(query, [limit]).fetchall()

    def dead_letter(self, message_id: str) -> WholeDeadLetter | None:
        """Return the message with this SQS id that is dead or lost, or None if none is."""
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS}, {PUBLICATION_COLUMNS}, f.body, f.attributes FROM failures f"
            f" WHERE f.message_id = %s AND ({IS_DEAD} OR {IS_LOST})"
        )
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(WholeDeadLetter))
            return cursor.execute(query, [storable(message_id)]).fetchone()

    def find_dead_letter(self, source: str, id: str) -> str | None:  # noqa: A002 - CloudEvents' word
        """Return the SQS id of the dead letter that is this message, or None."""
        query: LiteralString = (
            f"SELECT f.message_id FROM failures f WHERE f.source = %s AND f.id = %s AND {IS_DEAD} LIMIT 1"
        )
        with self._database.connection() as connection:
            row = connection.execute(query, [storable(source), storable(id)]).fetchone()
            return str(row[0]) if row else None

    def mark_redriven(self, queue: str, message_ids: Sequence[str] | None, at: datetime) -> None:
        """Record that these dead letters of the queue, or all, were sent back to it at this time."""
        chosen: LiteralString = (
            "AND lost_at IS NULL" if message_ids is None else "AND message_id = ANY(%(ids)s)"
        )
        statement: LiteralString = f"""
            UPDATE failures SET
                redriven_at = %(at)s, lost_at = NULL, lost_reason = NULL,
                -- What was sent back may have succeeded before this is recorded.
                resolved_at = CASE WHEN copy_succeeded_at >= %(at)s THEN copy_succeeded_at END
            WHERE queue = %(queue)s AND dead_at <= %(at)s AND resolved_at IS NULL {chosen}"""
        with self._database.connection() as connection:
            ids = message_ids and list(message_ids)
            connection.execute(statement, {"queue": queue, "at": at, "ids": ids})

    def unmark_redriven(self, queue: str, at: datetime) -> None:
        """Record that a redrive marked with this time ended early: messages not seen since are still dead."""
        with self._database.connection() as connection:
            connection.execute(
                """UPDATE failures f SET redriven_at = NULL
                   WHERE f.queue = %(queue)s AND f.redriven_at = %(at)s AND NOT EXISTS (
                       SELECT FROM failures o WHERE o.queue = f.queue AND o.identity = f.identity
                                                AND o.content = f.content AND o.last_failed_at > %(at)s)""",
                {"queue": queue, "at": at},
            )

    # ---- where the messages are

    def open_queues(self) -> list[str]:
        """Return the queues that hold messages which failed, as far as is known."""
        with self._database.connection() as connection:
            rows = connection.execute(f"SELECT DISTINCT f.queue FROM failures f WHERE {IS_OPEN}")
            return [str(name) for (name,) in rows]

    def open_failures(self, queue: str) -> OpenFailures:
        """Return how many messages of this queue are failed or dead."""
        query: LiteralString = f"""
            SELECT count(*) AS count, count(*) FILTER (WHERE NOT {IS_SENT_BACK}) AS in_place,
                   max({LAST_SEEN}) AS changed_at, clock_timestamp() AS read_at
            FROM failures f WHERE f.queue = %s AND {IS_OPEN}"""
        with self._database.connection() as connection:
            found = connection.cursor(row_factory=class_row(OpenFailures)).execute(query, [queue]).fetchone()
            assert found is not None
            return found

    def count_absent(self, queue: str, present: Collection[str], before: datetime) -> int:
        """Return how many messages that failed before this time are none of these, which the queues hold."""
        query: LiteralString = f"SELECT count(*) FROM failures f WHERE {_ABSENT}"
        with self._database.connection() as connection:
            row = connection.execute(query, _absent(queue, present, before)).fetchone()
            assert row is not None
            return int(row[0])

    def mark_absent(
        self,
        queue: str,
        present: Collection[str],
        before: datetime,
        queues_created_at: datetime | None = None,
    ) -> int:
        """Record as lost what `count_absent` counts: with its queue, if that is younger."""
        statement: LiteralString = f"""
            UPDATE failures f SET lost_at = now(), lost_reason =
                CASE WHEN {LAST_SEEN} < %(created_at)s::timestamptz THEN 'queue' ELSE 'missing' END
            WHERE {_ABSENT}"""
        values = {**_absent(queue, present, before), "created_at": queues_created_at}
        with self._database.connection() as connection:
            return connection.execute(statement, values).rowcount

    def mark_lost(self, queue: str, last_seen_before: datetime, reason: LostReason) -> int:
        """Record as lost what is failed or dead and was last seen in its queues before this time."""
        return self._mark_lost(queue, f"{LAST_SEEN} < %(before)s", last_seen_before, reason)

    def mark_expired(self, queue: str, retained_since: datetime) -> int:
        """Record as lost what SQS has deleted, because it retains only what was sent since this time."""
        return self._mark_lost(queue, f"{RETAINED_FROM} < %(before)s", retained_since, "retention")

    def _mark_lost(self, queue: str, condition: LiteralString, before: datetime, reason: LostReason) -> int:
        statement: LiteralString = f"""
            UPDATE failures f SET lost_at = now(), lost_reason = %(reason)s
            WHERE f.queue = %(queue)s AND {IS_OPEN} AND {condition}"""
        with self._database.connection() as connection:
            values = {"queue": queue, "before": before, "reason": reason}
            return connection.execute(statement, values).rowcount

    def mark_found(self, queue: str, message_ids: Collection[str]) -> int:
        """Record that these messages are in the dead-letter queue, whatever was known of them."""
        statement: LiteralString = f"""
            UPDATE failures f SET dead_at = now(), resolved_at = NULL, lost_at = NULL, lost_reason = NULL
            WHERE f.queue = %s AND f.message_id = ANY(%s) AND NOT {IS_DEAD}
              AND (f.lost_at IS NOT NULL OR NOT {IS_SENT_BACK})"""
        with self._database.connection() as connection:
            return connection.execute(statement, [queue, list(message_ids)]).rowcount

    def forget(self, message_ids: Collection[str]) -> None:
        """Delete what is known of the messages with these SQS ids."""
        with self._database.connection() as connection:
            connection.execute("DELETE FROM failures WHERE message_id = ANY(%s)", [list(message_ids)])

    def forget_lost(self, message_id: str | None = None) -> int:
        """Delete what is known of the lost message with this SQS id, or of all; return how many they were."""
        chosen: LiteralString = "" if message_id is None else "AND f.message_id = %(id)s"
        statement: LiteralString = f"DELETE FROM failures f WHERE {IS_LOST} {chosen}"
        with self._database.connection() as connection:
            return connection.execute(statement, {"id": storable(message_id or "")}).rowcount


# True of what failed before a time, was not sent back and is none of the messages that the queues hold.
_ABSENT: LiteralString = f"""
    f.queue = %(queue)s AND {IS_OPEN} AND NOT {IS_SENT_BACK} AND f.last_failed_at < %(before)s
    AND NOT f.message_id = ANY(%(present)s)"""


def _absent(queue: str, present: Collection[str], before: datetime) -> dict[str, object]:
    return {"queue": queue, "present": list(present), "before": before}

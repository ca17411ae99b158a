"""Failures: which messages a handler failed on, why, how often, and what became of them.

SQS keeps a dead letter but not its reason; this keeps the reason, under the same message id.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pipeline.message import Delivery, storable
from pipeline.search import IS_DEAD, IS_DUPLICATE
from pipeline.store import Store, storable_attributes

# How long it may be believed that nothing is open. A redrive by hand takes longer.
OPEN_CHECK_SECONDS = 1.0
LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class FailedTry:
    """One try that failed. `last` says that the redrive policy allows no further one."""

    delivery: Delivery
    error_type: str
    error: str
    traceback: str
    last: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the dead-letter queue, with its reason. `message_id` is SQS's.

    `redriven_at` is set if it has been sent back to the queue since, or before it died once more.
    """

    message_id: str
    source: str
    id: str
    type: str
    time: datetime
    preview: str
    error_type: str
    error: str
    traceback: str
    tries: int
    first_failed_at: datetime
    last_failed_at: datetime
    dead_at: datetime
    redriven_at: datetime | None


@dataclass(frozen=True, slots=True)
class WholeDeadLetter(DeadLetter):
    """A dead letter with its document as published."""

    body: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PastDelivery:
    """One receipt of a message and what it came to: stored, failed, or both if a later handler failed.

    `duplicate` says that it was stored already, and had not failed.
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
    """What became of a message that had failed, under one of its SQS ids; None is what did not happen."""

    message_id: str
    dead_at: datetime | None
    redriven_at: datetime | None
    resolved_at: datetime | None


RECORD: LiteralString = """
    INSERT INTO failures (message_id, identity, source, id, type, time, preview, body, attributes,
                          error_type, error, traceback, tries, dead_at)
    VALUES (%(message_id)s, %(identity)s, %(source)s, %(id)s, %(type)s, %(time)s, %(preview)s, %(body)s,
            %(attributes)s, %(error_type)s, %(error)s, %(traceback)s, %(tries)s,
            CASE WHEN %(last)s THEN now() END)
    ON CONFLICT (message_id) DO UPDATE SET
        error_type = excluded.error_type, error = excluded.error, traceback = excluded.traceback,
        tries = excluded.tries, last_failed_at = now(), dead_at = excluded.dead_at,
        resolved_at = NULL"""

RECORD_TRY: LiteralString = """
    INSERT INTO failed_tries (message_id, receive_count, sent_at, received_at, error_type, error)
    VALUES (%(message_id)s, %(tries)s, %(sent_at)s, %(received_at)s, %(error_type)s, %(error)s)"""

RESOLVE: LiteralString = """
    UPDATE failures SET resolved_at = clock_timestamp() WHERE identity = ANY(%s) AND resolved_at IS NULL"""

LETTER_COLUMNS: LiteralString = """
    f.message_id, f.source, f.id, f.type, f.time, f.preview, f.error_type, f.error, f.traceback, f.tries,
    f.first_failed_at, f.last_failed_at, f.dead_at,
    -- A redrive may have given the message another SQS id.
    (SELECT max(o.redriven_at) FROM failures o WHERE o.identity = f.identity) AS redriven_at"""

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
          FROM failed_tries t JOIN failures f USING (message_id) JOIN m USING (identity)) AS one
    GROUP BY message_id, receive_count, received_at ORDER BY received_at"""

OUTCOMES: LiteralString = """
    SELECT f.message_id, f.dead_at, f.redriven_at, f.resolved_at
    FROM failures f JOIN messages m USING (identity) WHERE m.seq = %s ORDER BY f.first_failed_at"""


class FailureLog:
    """The failures in the store. Methods raise psycopg.OperationalError while it cannot be reached."""

    def __init__(self, store: Store) -> None:
        """Share the store's connections."""
        self._store = store
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._any_open = False

    def record(self, failed: Sequence[FailedTry]) -> None:
        """Keep the reason of each; a later try's is the one that a dead letter shows."""
        if not failed:
            return
        rows = [_row(one) for one in failed]
        with self._store.connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(RECORD, rows)
            cursor.executemany(RECORD_TRY, rows)

    def resolve(self, done: Sequence[Delivery]) -> None:
        """Note that these messages were handled, if they had failed before."""
        if any(delivery.receive_count > 1 for delivery in done) or (done and self._is_any_open()):
            with self._store.connection() as connection:
                connection.execute(RESOLVE, [[delivery.message.identity for delivery in done]])

    def deliveries(self, seq: int) -> list[PastDelivery]:
        """Return every receipt of a stored message, the first one first."""
        with self._store.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(PastDelivery))
            return cursor.execute(DELIVERIES, {"seq": seq}).fetchall()

    def outcomes(self, seq: int) -> list[Outcome]:
        """Return what became of a stored message that had failed; nothing if it never did."""
        with self._store.connection() as connection:
            return connection.cursor(row_factory=class_row(Outcome)).execute(OUTCOMES, [seq]).fetchall()

    def dead_letters(self, limit: int = 1000) -> list[DeadLetter]:
        """Return the messages that are in the dead-letter queue now, the one that died last first."""
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS} FROM failures f WHERE {IS_DEAD} ORDER BY dead_at DESC LIMIT %s"
        )
        with self._store.connection() as connection:
            return connection.cursor(row_factory=class_row(DeadLetter)).execute(query, [limit]).fetchall()

    def dead_letter(self, message_id: str) -> WholeDeadLetter | None:
        """Return the dead letter with this SQS id, or None if there is none now."""
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS}, f.body, f.attributes FROM failures f"
            f" WHERE f.message_id = %s AND {IS_DEAD}"
        )
        with self._store.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(WholeDeadLetter))
            return cursor.execute(query, [storable(message_id)]).fetchone()

    def find_dead_letter(self, source: str, id: str) -> str | None:  # noqa: A002 - CloudEvents' word
        """Return the SQS id of the dead letter that is this message, or None."""
        query: LiteralString = (
            f"SELECT f.message_id FROM failures f WHERE f.source = %s AND f.id = %s AND {IS_DEAD} LIMIT 1"
        )
        with self._store.connection() as connection:
            row = connection.execute(query, [storable(source), storable(id)]).fetchone()
            return str(row[0]) if row else None

    def mark_redriven(self, message_ids: Sequence[str] | None, at: datetime) -> None:
        """Note that these dead letters, or all, were sent back to the queue at this time."""
        condition: LiteralString = "" if message_ids is None else " AND message_id = ANY(%(ids)s)"
        statement: LiteralString = (
            "UPDATE failures SET redriven_at = %(at)s WHERE dead_at <= %(at)s AND resolved_at IS NULL"
            + condition
        )
        with self._store.connection() as connection:
            connection.execute(statement, {"at": at, "ids": message_ids and list(message_ids)})

    def unmark_redriven(self, at: datetime) -> None:
        """Note that not all that was marked with this time was sent back: what was not seen since is dead."""
        with self._store.connection() as connection:
            connection.execute(
                """UPDATE failures f SET redriven_at = NULL WHERE redriven_at = %(at)s AND NOT EXISTS (
                       SELECT FROM failures o WHERE o.identity = f.identity AND o.last_failed_at > %(at)s)""",
                {"at": at},
            )

    def _is_any_open(self) -> bool:
        """Tell whether any failure waits for its good end: asked rarely, as most of the time none does."""
        with self._lock:
            if time.monotonic() - self._checked_at > OPEN_CHECK_SECONDS:
                with self._store.connection() as connection:
                    row = connection.execute(
                        "SELECT EXISTS (SELECT FROM failures WHERE resolved_at IS NULL)"
                    ).fetchone()
                self._any_open = bool(row and row[0])
                self._checked_at = time.monotonic()
            return self._any_open


def _row(failed: FailedTry) -> dict[str, object]:
    message = failed.delivery.message
    return {
        "message_id": failed.delivery.message_id,
        "identity": message.identity,
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time,
        "preview": storable(message.preview),
        "body": storable(message.body),
        "attributes": Jsonb(storable_attributes(failed.delivery.attributes)),
        "error_type": failed.error_type,
        "error": storable(failed.error)[:LONGEST_TEXT],
        "traceback": storable(failed.traceback)[-LONGEST_TEXT:],
        "tries": failed.delivery.receive_count,
        "sent_at": failed.delivery.sent_at,
        "received_at": failed.delivery.received_at,
        "last": failed.last,
    }

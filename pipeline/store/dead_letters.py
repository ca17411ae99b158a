"""Failures and dead letters as the viewer reads them, and what a redrive changes about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row

from pipeline.message import storable
from pipeline.search.sql import IS_DEAD, IS_DUPLICATE
from pipeline.store.connection import Database


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the dead-letter queue of `queue`, with its reason. `message_id` is SQS's.

    `redriven_at` is when it was last sent back to the queue, None if it never was.
    """

    queue: str
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
    """A dead letter with its body as published."""

    body: str
    attributes: Mapping[str, str]


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


LETTER_COLUMNS: LiteralString = """
    f.queue, f.message_id, f.source, f.id, f.type, f.time, f.preview, f.error_type, f.error, f.traceback,
    f.tries, f.first_failed_at, f.last_failed_at, f.dead_at,
    -- A redrive may have given the message another SQS id.
    (SELECT max(o.redriven_at) FROM failures o
     WHERE o.queue = f.queue AND o.identity = f.identity) AS redriven_at"""

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
          FROM failed_tries t JOIN failures f USING (queue, message_id) JOIN m USING (queue, identity)) AS one
    GROUP BY message_id, receive_count, received_at ORDER BY received_at"""

OUTCOMES: LiteralString = """
    SELECT f.message_id, f.dead_at, f.redriven_at, f.resolved_at
    FROM failures f JOIN messages m USING (queue, identity) WHERE m.seq = %s ORDER BY f.first_failed_at"""


class FailureReader:
    """Reads failures. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database

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
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS} FROM failures f WHERE {IS_DEAD} ORDER BY dead_at DESC LIMIT %s"
        )
        with self._database.connection() as connection:
            return connection.cursor(row_factory=class_row(DeadLetter)).execute(query, [limit]).fetchall()

    def dead_letter(self, message_id: str) -> WholeDeadLetter | None:
        """Return the dead letter with this SQS id, or None if there is none now."""
        query: LiteralString = (
            f"SELECT {LETTER_COLUMNS}, f.body, f.attributes FROM failures f"
            f" WHERE f.message_id = %s AND {IS_DEAD}"
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
        chosen: LiteralString = "" if message_ids is None else "AND message_id = ANY(%(ids)s)"
        statement: LiteralString = f"""
            UPDATE failures SET redriven_at = %(at)s
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
                                                AND o.last_failed_at > %(at)s)""",
                {"queue": queue, "at": at},
            )

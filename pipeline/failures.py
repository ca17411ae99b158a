"""Failures: which messages a handler failed on, why, how often, and what became of them.

SQS keeps a dead letter but not its reason; this keeps the reason, under the same message id.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pipeline.message import Delivery, storable
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


RECORD: LiteralString = """
    INSERT INTO failures (message_id, identity, source, id, type, time, preview, body, attributes,
                          error_type, error, traceback, tries, dead_at)
    VALUES (%(message_id)s, %(identity)s, %(source)s, %(id)s, %(type)s, %(time)s, %(preview)s, %(body)s,
            %(attributes)s, %(error_type)s, %(error)s, %(traceback)s, %(tries)s,
            CASE WHEN %(last)s THEN clock_timestamp() END)
    ON CONFLICT (message_id) DO UPDATE SET
        error_type = excluded.error_type, error = excluded.error, traceback = excluded.traceback,
        tries = excluded.tries, last_failed_at = clock_timestamp(), dead_at = excluded.dead_at,
        resolved_at = NULL"""

RESOLVE: LiteralString = """
    UPDATE failures SET resolved_at = clock_timestamp() WHERE identity = ANY(%s) AND resolved_at IS NULL"""

DEAD: LiteralString = """
    FROM failures f WHERE dead_at IS NOT NULL AND resolved_at IS NULL
                    AND (redriven_at IS NULL OR redriven_at < dead_at)"""


class FailureLog:
    """The failures in the store. Methods raise psycopg.OperationalError while it cannot be reached."""

    def __init__(self, store: Store) -> None:
        """Share the store's connections."""
        self._store = store
        self._lock = threading.Lock()
        self._checked_at = float("-inf")
        self._any_open = False

    def record(self, failed: Sequence[FailedTry]) -> None:
        """Keep the reason of each; a later try of the same message replaces an earlier one's."""
        if not failed:
            return
        with self._store.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(RECORD, [_row(one) for one in failed])

    def resolve(self, done: Sequence[Delivery]) -> None:
        """Note that these messages were handled, if they had failed before."""
        if any(delivery.receive_count > 1 for delivery in done) or (done and self._is_any_open()):
            with self._store.connection() as connection:
                connection.execute(RESOLVE, [[delivery.message.identity for delivery in done]])

    def dead_letters(self, limit: int = 1000) -> list[DeadLetter]:
        """Return the messages that are in the dead-letter queue now, the one that died last first."""
        query: LiteralString = (
            "SELECT message_id, source, id, type, time, preview, error_type, error, traceback, tries,"
            " first_failed_at, last_failed_at, dead_at,"
            # A redrive may have given the message another SQS id.
            " (SELECT max(o.redriven_at) FROM failures o WHERE o.identity = f.identity) AS redriven_at"
            f" {DEAD} ORDER BY dead_at DESC LIMIT %s"
        )
        with self._store.connection() as connection:
            return connection.cursor(row_factory=class_row(DeadLetter)).execute(query, [limit]).fetchall()

    def mark_redriven(self, message_ids: Sequence[str] | None, at: datetime) -> None:
        """Note that these dead letters, or all, were sent back to the queue at this time."""
        condition: LiteralString = "" if message_ids is None else " AND message_id = ANY(%(ids)s)"
        statement: LiteralString = (
            "UPDATE failures SET redriven_at = %(at)s WHERE dead_at <= %(at)s AND resolved_at IS NULL"
            + condition
        )
        with self._store.connection() as connection:
            connection.execute(statement, {"at": at, "ids": message_ids and list(message_ids)})

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
        "last": failed.last,
    }

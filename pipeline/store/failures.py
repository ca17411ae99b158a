"""Failures: which messages a handler failed on, why and how often. The consumer's side.

SQS keeps a dead letter but not its reason; the store keeps the reason, under the same queue and message id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.types.json import Jsonb

from pipeline.message import Delivery, storable
from pipeline.store.connection import Database
from pipeline.store.writer import storable_attributes
from pipeline.ttl_cache import TtlCache

# How long the log may go on believing that no failure is open. A redrive by hand takes longer.
OPEN_CHECK_SECONDS = 1.0
MAX_TEXT_LENGTH = 20_000


@dataclass(frozen=True, slots=True)
class FailedTry:
    """A try that failed. `last` says that the redrive policy allows no further one."""

    delivery: Delivery
    error_type: str
    error: str
    traceback: str
    last: bool


RECORD: LiteralString = """
    INSERT INTO failures (queue, message_id, identity, source, id, type, time, preview, body, attributes,
                          error_type, error, traceback, tries, dead_at)
    VALUES (%(queue)s, %(message_id)s, %(identity)s, %(source)s, %(id)s, %(type)s, %(time)s, %(preview)s,
            %(body)s, %(attributes)s, %(error_type)s, %(error)s, %(traceback)s, %(tries)s,
            CASE WHEN %(last)s THEN now() END)
    ON CONFLICT (queue, message_id) DO UPDATE SET
        error_type = excluded.error_type, error = excluded.error, traceback = excluded.traceback,
        tries = excluded.tries, last_failed_at = now(), dead_at = excluded.dead_at,
        resolved_at = NULL"""

RECORD_TRY: LiteralString = """
    INSERT INTO failed_tries (queue, message_id, receive_count, sent_at, received_at, error_type, error)
    VALUES (%(queue)s, %(message_id)s, %(tries)s, %(sent_at)s, %(received_at)s, %(error_type)s, %(error)s)"""

RESOLVE: LiteralString = """
    UPDATE failures f SET resolved_at = clock_timestamp()
    FROM unnest(%s::text[], %s::bytea[]) AS m (queue, identity)
    WHERE f.queue = m.queue AND f.identity = m.identity AND f.resolved_at IS NULL"""

ANY_OPEN: LiteralString = "SELECT EXISTS (SELECT FROM failures WHERE resolved_at IS NULL)"


class FailureLog:
    """Records failures. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Record in this database."""
        self._database = database
        self._is_any_open = TtlCache(self._ask_if_any_is_open, OPEN_CHECK_SECONDS)

    def record(self, failed: Sequence[FailedTry]) -> None:
        """Record each failed try with its reason; a dead letter shows the reason of the last one."""
        if not failed:
            return
        rows = [_row(one) for one in failed]
        with (
            self._database.connection() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.executemany(RECORD, rows)
            cursor.executemany(RECORD_TRY, rows)

    def resolve(self, done: Sequence[Delivery]) -> None:
        """Record that these messages succeeded, if they had failed before."""
        if any(delivery.receive_count > 1 for delivery in done) or (done and self._is_any_open()):
            queues = [delivery.queue for delivery in done]
            identities = [delivery.message.identity for delivery in done]
            with self._database.connection() as connection:
                connection.execute(RESOLVE, [queues, identities])

    def _ask_if_any_is_open(self) -> bool:
        with self._database.connection() as connection:
            row = connection.execute(ANY_OPEN).fetchone()
            return row == (True,)


def _row(failed: FailedTry) -> dict[str, object]:
    message = failed.delivery.message
    return {
        "queue": failed.delivery.queue,
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
        "error": storable(failed.error)[:MAX_TEXT_LENGTH],
        "traceback": storable(failed.traceback)[-MAX_TEXT_LENGTH:],
        "tries": failed.delivery.receive_count,
        "sent_at": failed.delivery.sent_at,
        "received_at": failed.delivery.received_at,
        "last": failed.last,
    }

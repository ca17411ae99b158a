"""Failures: which messages a handler failed on, why and how often. The consumer's side.

SQS keeps a dead letter but not its reason; the store keeps the reason, under the same queue and message id.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.types.json import Jsonb

from pipeline.message import Delivery, storable
from pipeline.retry import is_outage
from pipeline.search.sql import IS_OPEN, IS_SENT_BACK
from pipeline.store.connection import Database
from pipeline.store.redrives import KEPT_DAYS
from pipeline.store.writer import publication_columns, storable_attributes, storable_title
from pipeline.ttl_cache import TtlCache

# How long the log may go on believing that no failure is open. A redrive by hand takes longer.
OPEN_CHECK_SECONDS = 1.0
MAX_TEXT_LENGTH = 20_000
MAX_PRUNED = 2000  # at once

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedTry:
    """A try that failed. `last` says that the redrive policy allows no further one."""

    delivery: Delivery
    error_type: str
    error: str
    traceback: str
    last: bool


RECORD: LiteralString = """
    INSERT INTO failures (queue, message_id, identity, content, source, id, type, time, title, preview, body,
                          attributes, error_type, error, traceback, tries, dead_at,
                          topic, topic_arn, subject, attribute_types, sns_message_id, group_id,
                          deduplication_id, sequence_number)
    VALUES (%(queue)s, %(message_id)s, %(identity)s, %(content)s, %(source)s, %(id)s, %(type)s, %(time)s,
            %(title)s, %(preview)s, %(body)s, %(attributes)s, %(error_type)s, %(error)s, %(traceback)s,
            %(tries)s, CASE WHEN %(last)s THEN now() END,
            %(topic)s, %(topic_arn)s, %(subject)s, %(attribute_types)s, %(sns_message_id)s, %(group_id)s,
            %(deduplication_id)s, %(sequence_number)s)
    ON CONFLICT (queue, message_id) DO UPDATE SET
        error_type = excluded.error_type, error = excluded.error, traceback = excluded.traceback,
        tries = excluded.tries, last_failed_at = now(), dead_at = excluded.dead_at,
        resolved_at = NULL, lost_at = NULL, lost_reason = NULL, copy_succeeded_at = NULL"""

RECORD_TRY: LiteralString = """
    INSERT INTO failed_tries (queue, message_id, receive_count, sent_at, received_at, error_type, error)
    VALUES (%(queue)s, %(message_id)s, %(tries)s, %(sent_at)s, %(received_at)s, %(error_type)s, %(error)s)"""

_SUCCEEDED: LiteralString = "unnest(%s::text[], %s::bytea[], %s::text[], %s::bytea[])"
_SAME_MESSAGE: LiteralString = "f.queue = m.queue AND f.identity = m.identity AND f.content = m.content"
# A message that was sent back may have another SQS id. Any other message of the same identity says nothing
# about the one that failed, which stays in its queue.
RESOLVE: LiteralString = f"""
    UPDATE failures f SET resolved_at = clock_timestamp()
    FROM {_SUCCEEDED} AS m (queue, identity, message_id, content)
    WHERE f.resolved_at IS NULL
      AND ((f.queue = m.queue AND f.message_id = m.message_id) OR ({_SAME_MESSAGE} AND {IS_SENT_BACK}))"""

# What the queue delivers again fails again: a failure of longer ago is that of a message that SQS deleted.
PRUNE: LiteralString = """
    DELETE FROM failures WHERE (queue, message_id) IN (
        SELECT queue, message_id FROM failures
        WHERE (last_failed_at < now() - make_interval(days => %(days)s)
               AND coalesce(redriven_at < now() - make_interval(days => %(days)s), true))
           OR last_failed_at < (SELECT last_failed_at FROM failures
                                ORDER BY last_failed_at DESC OFFSET %(keep)s - 1 LIMIT 1)
        ORDER BY last_failed_at LIMIT %(most)s)"""

NOTE_COPY: LiteralString = f"""
    UPDATE failures f SET copy_succeeded_at = clock_timestamp()
    FROM {_SUCCEEDED} AS m (queue, identity, message_id, content)
    WHERE f.resolved_at IS NULL AND {_SAME_MESSAGE}"""

ANY_OPEN: LiteralString = f"SELECT EXISTS (SELECT FROM failures f WHERE {IS_OPEN})"


class FailureLog:
    """Records failures. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Record in this database."""
        self._database = database
        self._is_any_open = TtlCache(self._ask_if_any_is_open, OPEN_CHECK_SECONDS)

    def record(self, failed: Sequence[FailedTry]) -> None:
        """Record each failed try with its reason; a dead letter shows the reason of the last one.

        What the database refuses to record is logged, and keeps no other try from being recorded.
        """
        try:
            self._record(failed)
        except Exception as error:
            if is_outage(error):
                raise
            if len(failed) > 1:
                for one in failed:
                    self.record([one])
            else:
                log.exception("failure not recorded", extra={"message_id": failed[0].delivery.message_id})

    def _record(self, failed: Sequence[FailedTry]) -> None:
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
            succeeded = [list(column) for column in zip(*map(_success, done), strict=True)]
            with self._database.connection() as connection:
                connection.execute(RESOLVE, succeeded)
                connection.execute(NOTE_COPY, succeeded)

    def prune(self, keep: int) -> int:
        """Remove failures of messages that SQS has deleted by now, and all but the newest `keep`.

        Returns how many. What is known of a stored message that succeeded is removed with it (Writer.prune).
        """
        with self._database.connection() as connection:
            return connection.execute(PRUNE, {"keep": keep, "days": KEPT_DAYS, "most": MAX_PRUNED}).rowcount

    def _ask_if_any_is_open(self) -> bool:
        with self._database.connection() as connection:
            row = connection.execute(ANY_OPEN).fetchone()
            return row == (True,)


def _success(delivery: Delivery) -> tuple[str, bytes, str, bytes]:
    message = delivery.message
    return delivery.queue, message.identity, delivery.message_id, message.content


def _row(failed: FailedTry) -> dict[str, object]:
    message = failed.delivery.message
    publication = publication_columns(message)
    return {
        **publication,
        "attribute_types": Jsonb(publication["attribute_types"]),
        "queue": failed.delivery.queue,
        "message_id": failed.delivery.message_id,
        "identity": message.identity,
        "content": message.content,
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time,
        "title": storable_title(message),
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

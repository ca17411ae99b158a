"""Redrives: which texts the viewer sent back to their queue, so that the consumer knows them again.

A text is identified by the id that SQS gave it, and SQS gives it another one when it is sent again. A redrive
records the text with its first id before it sends it. Whatever an attribute of a delivery claims, the
consumer gives this id only to the first delivery of that text after that.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import LiteralString

from pipeline.message import ORIGINAL_ID, Delivery, storable
from pipeline.store.connection import Database

# SQS keeps no message for longer than 14 days ("Amazon SQS message quotas", AWS).
KEPT_DAYS = 15

BEGIN: LiteralString = """
    INSERT INTO redrives (queue, original_id, content, sent_at)
    VALUES (%(queue)s,
            coalesce((SELECT original_id FROM redrives
                      WHERE queue = %(queue)s AND content = %(content)s AND sent_as = %(message_id)s
                      LIMIT 1),
                     %(message_id)s),
            %(content)s, now())
    ON CONFLICT (queue, original_id) DO UPDATE SET
        content = excluded.content, sent_at = excluded.sent_at, sent_as = NULL
    RETURNING original_id"""

# A delivery that was recognised before is recognised again.
RECOGNISE: LiteralString = """
    UPDATE redrives SET sent_as = %(message_id)s
    WHERE (queue, original_id) = (
        SELECT queue, original_id FROM redrives
        WHERE queue = %(queue)s AND content = %(content)s
          AND (%(claimed)s::text IS NULL OR original_id = %(claimed)s)
          AND (sent_as IS NULL OR sent_as = %(message_id)s)
        ORDER BY sent_as NULLS LAST, sent_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING original_id"""


class Redrives:
    """Texts sent back to a queue. Methods raise psycopg.OperationalError while the store is away."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def begin(self, queue: str, message_id: str, body: str, attributes: Mapping[str, str]) -> str:
        """Record that this text is about to be sent back to the queue; return its first SQS id."""
        row = {
            "queue": queue,
            "message_id": storable(message_id),
            "content": _content(body, attributes),
        }
        with self._database.connection() as connection:
            found = connection.execute(BEGIN, row).fetchone()
            assert found is not None
            return str(found[0])

    def begin_all(self, queue: str) -> None:
        """Record that SQS itself is about to send back every text: those sent back before may come again."""
        with self._database.connection() as connection:
            connection.execute(
                "UPDATE redrives SET sent_as = NULL, sent_at = now() WHERE queue = %s", [queue]
            )

    def original_id(self, delivery: Delivery) -> str | None:
        """Return the first SQS id of a text that a redrive sent, None of any other."""
        claimed = delivery.attributes.get(ORIGINAL_ID)
        row = {
            "queue": delivery.queue,
            "message_id": storable(delivery.message_id),
            "content": _content(delivery.message.body, delivery.attributes),
            "claimed": claimed and storable(claimed),
        }
        with self._database.connection() as connection:
            found = connection.execute(RECOGNISE, row).fetchone()
            return str(found[0]) if found else None

    def prune(self) -> None:
        """Remove the records of texts that no queue holds any more."""
        with self._database.connection() as connection:
            connection.execute(
                "DELETE FROM redrives WHERE sent_at < now() - make_interval(days => %s)", [KEPT_DAYS]
            )


def _content(body: str, attributes: Mapping[str, str]) -> bytes:
    own = sorted((name, value) for name, value in attributes.items() if name != ORIGINAL_ID)
    return hashlib.sha256(json.dumps([body, own]).encode()).digest()

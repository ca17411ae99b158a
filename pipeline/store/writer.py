"""Writing to the store: the consumer's side.

A reader asks for `seq > the last one it has seen`. That is only safe if a lower number never becomes visible
after a higher one, and PostgreSQL alone does not promise it: numbers are drawn when a row is inserted, rows
appear when their transaction commits, and two consumers may do these in different orders. So a transaction
that adds messages first takes an advisory lock and holds it until its commit is durable: numbers are drawn in
the order of commits. The cost is that consumers insert one after the other. Receiving, handling and deleting
still overlap, and a batch waits once, not once per message.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, LiteralString

from pipeline.message import Delivery, storable
from pipeline.search.sql import IS_DUPLICATE, IS_OF_MESSAGE
from pipeline.search.terms import index_terms
from pipeline.store.connection import CHANNEL, Database

# Arbitrary keys for pg_advisory_xact_lock.
APPEND_LOCK = 7_266_002
PRUNE_LOCK = 7_266_003

MAX_PRUNED_AT_ONCE = 2000

Repeated = Literal["duplicate", "retried"]  # what a further delivery of a stored message was

# One statement for a batch, and so one transaction and one round trip. The lock comes first, since no row can
# be joined to it before. PostgreSQL sends equal notifications of a transaction only once.
INSERT: LiteralString = """
    WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s))
    INSERT INTO messages (queue, identity, source, id, type, time, event_time, body, preview, color, sequence,
                          size, message_id, receive_count, attributes, sent_at, received_at, terms)
    SELECT queue, decode(identity, 'hex'), source, id, type, time, event_time, body, preview, color, sequence,
           size, message_id, receive_count, attributes, sent_at, received_at, array_to_tsvector(terms)
    FROM lock, json_to_recordset(%s) AS new (
        queue text, identity text, source text, id text, type text, time timestamptz, event_time timestamptz,
        body text, preview text, color text, sequence bigint, size integer, message_id text,
        receive_count integer, attributes jsonb, sent_at timestamptz, received_at timestamptz, terms text[])
    ON CONFLICT (queue, identity) DO NOTHING
    RETURNING queue, encode(identity, 'hex'), seq, pg_notify(%s, '')"""

# Skips a message that this very delivery stored (its consumer was killed or cut off before it knew). Returns
# queue and identity of the duplicates, and NULL for the next try after a failure.
INSERT_REPEATED: LiteralString = f"""
    INSERT INTO duplicates AS d (seq, message_id, receive_count, sent_at, received_at)
    SELECT m.seq, new.message_id, new.receive_count, new.sent_at, new.received_at
    FROM json_to_recordset(%s) AS new (
        queue text, identity text, message_id text, receive_count integer, sent_at timestamptz,
        received_at timestamptz)
    JOIN messages m ON m.queue = new.queue AND m.identity = decode(new.identity, 'hex')
    WHERE (m.message_id, m.received_at) <> (new.message_id, new.received_at)
    RETURNING (SELECT ARRAY[m.queue, encode(m.identity, 'hex')] FROM messages m
               WHERE m.seq = d.seq AND {IS_DUPLICATE})"""

# A resolved failure is of interest only beside its message.
PRUNE: LiteralString = f"""
    WITH removed AS (
        DELETE FROM messages WHERE seq IN (
            SELECT seq FROM messages
            WHERE seq <= (SELECT seq FROM messages ORDER BY seq DESC OFFSET %(keep)s LIMIT 1)
            ORDER BY seq LIMIT %(most)s)
        RETURNING queue, identity
    ), settled AS (
        DELETE FROM failures f USING removed m WHERE {IS_OF_MESSAGE} AND f.resolved_at IS NOT NULL
    )
    SELECT count(*) FROM removed"""


class Writer:
    """Adds messages to the store. Every method raises psycopg.OperationalError while it cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Write to this database."""
        self._database = database

    def add(self, deliveries: Sequence[Delivery]) -> list[int | Repeated]:
        """Store new messages durably in one transaction; return the seq of each.

        For a message that is stored already, only the further delivery is recorded; what it was is returned:
        a duplicate, or the next try of a message that had failed. Listeners are notified on commit.
        """
        rows = [_row(delivery) for delivery in deliveries]
        with self._database.connection() as connection:
            inserted = connection.execute(INSERT, [APPEND_LOCK, json.dumps(rows), CHANNEL]).fetchall()
            new = {(queue, identity): seq for queue, identity, seq, _ in inserted}
            # If a message is in the batch twice, the first one is the new one.
            seqs = [new.pop(_key(row), None) for row in rows]
            repeated = [row for row, seq in zip(rows, seqs, strict=True) if seq is None]
            if not repeated:
                return seqs
            answers = connection.execute(INSERT_REPEATED, [json.dumps(repeated)]).fetchall()
            duplicates = {tuple(key) for (key,) in answers if key}
        return [
            seq or ("duplicate" if _key(row) in duplicates else "retried")
            for row, seq in zip(rows, seqs, strict=True)
        ]

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` messages, in short transactions; return how many were removed.

        Only one process prunes at a time; the others return 0 at once.
        """
        removed = 0
        while True:
            with self._database.connection() as connection, connection.transaction():
                free = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [PRUNE_LOCK]).fetchone()
                if free != (True,):
                    return removed
                row = connection.execute(PRUNE, {"keep": keep, "most": MAX_PRUNED_AT_ONCE}).fetchone()
                count = int(row[0]) if row else 0
            removed += count
            if count < MAX_PRUNED_AT_ONCE:
                return removed

    def settle_index(self) -> int:
        """Move the pending entries of the search index to their place; return how many pages they filled.

        Otherwise an insert does it every few thousand messages, and takes some hundred milliseconds in which
        all other inserts wait ("GIN Fast Update Technique", PostgreSQL).
        """
        with self._database.connection() as connection:
            row = connection.execute("SELECT gin_clean_pending_list('messages_terms')").fetchone()
            assert row is not None
            return int(row[0])


def storable_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes in the form that jsonb can hold."""
    return {storable(name): storable(value) for name, value in attributes.items()}


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["queue"], row["identity"]


def _row(delivery: Delivery) -> dict[str, Any]:
    message = delivery.message
    return {
        "queue": delivery.queue,
        "identity": message.identity.hex(),
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time.isoformat(),
        "event_time": message.event_time and message.event_time.isoformat(),
        "body": storable(message.body),
        "preview": storable(message.preview),
        "color": message.color,
        "sequence": message.sequence,
        "size": len(message.body.encode("utf-8", "surrogatepass")),
        "message_id": delivery.message_id,
        "receive_count": delivery.receive_count,
        "attributes": storable_attributes(delivery.attributes),
        "sent_at": delivery.sent_at.isoformat(),
        "received_at": delivery.received_at.isoformat(),
        "terms": index_terms(message, delivery.attributes),
    }

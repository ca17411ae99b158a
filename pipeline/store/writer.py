"""Writing to the store: the consumer's side.

A reader asks for `seq > the last one it has seen`. That is only safe if a lower number never becomes visible
after a higher one, and PostgreSQL alone does not promise it: numbers are drawn when a row is inserted, rows
appear when their transaction commits, and two consumers may do these in different orders. So a transaction
that adds messages first takes an advisory lock and holds it until its commit is durable: numbers are drawn in
the order of commits. The cost is that consumers insert one after the other. Receiving, handling and deleting
still overlap, and a batch waits once, not once per message.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import TupleRow

from pipeline.message import PREVIEW_LENGTH, Delivery, Message, read_stored, storable
from pipeline.redaction import NO_MASK, Mask
from pipeline.search.sql import IS_DUPLICATE, IS_OF_MESSAGE
from pipeline.search.terms import index_terms
from pipeline.store.connection import CHANNEL, Database
from pipeline.store.copies import MAY_BE_COPY, claim

# Arbitrary keys for pg_advisory_xact_lock.
APPEND_LOCK = 7_266_002
PRUNE_LOCK = 7_266_003

MAX_PRUNED_AT_ONCE = 2000
MAX_DUPLICATES = 1000  # further deliveries that are kept of a message, about

Repeated = Literal["duplicate", "retried"]  # what a further delivery of a stored message was

COLUMNS: LiteralString = """
    queue, identity, content, source, id, type, time, event_time, body, title, preview, color,
    sequence, size, message_id, receive_count, attributes, sent_at, received_at,
    topic, topic_arn, subject, attribute_types, sns_message_id, group_id, deduplication_id,
    sequence_number, terms, conflict_of"""
VALUES: LiteralString = """
    new.queue, new.identity, new.content, new.source, new.id, new.type, new.time, new.event_time,
    new.body, new.title, new.preview, new.color, new.sequence, new.size, new.message_id, new.receive_count,
    new.attributes, new.sent_at, new.received_at, new.topic, new.topic_arn, new.subject, new.attribute_types,
    new.sns_message_id, new.group_id, new.deduplication_id, new.sequence_number,
    array_to_tsvector(new.terms)"""
# The rows of a batch, see _row.
NEW: LiteralString = """
    new AS MATERIALIZED (
        SELECT place, queue, decode(identity, 'hex') AS identity, decode(content, 'hex') AS content,
               source, id, type, time, event_time, body, title, preview, color, sequence, size,
               message_id, receive_count, attributes, sent_at, received_at, topic, topic_arn, subject,
               attribute_types, sns_message_id, group_id, deduplication_id, sequence_number, terms
        FROM json_to_recordset(%(rows)s) AS new (
            place integer, queue text, identity text, content text, source text, id text, type text,
            time timestamptz, event_time timestamptz, body text, title text, preview text, color text,
            sequence bigint, size integer, message_id text, receive_count integer, attributes jsonb,
            sent_at timestamptz, received_at timestamptz, topic text, topic_arn text, subject text,
            attribute_types jsonb, sns_message_id text, group_id text, deduplication_id text,
            sequence_number text, terms text[]))"""

# The last part of the unique key: any number of contents may have one identity, and finding one must not
# depend on how many there are.
CONFLICT: LiteralString = "(CASE WHEN m.conflict_of IS NULL THEN '\\x'::bytea ELSE m.content END)"

# One statement for a batch, and so one transaction and one round trip. The lock comes first, since no row can
# be joined to it before. PostgreSQL sends equal notifications of a transaction only once. A conflict that is
# stored stays one when the message is gone that had its identity first.
INSERT: LiteralString = f"""
    WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(%(lock)s)), {NEW}
    INSERT INTO messages ({COLUMNS})
    SELECT {VALUES}, NULL FROM lock, new
    WHERE NOT EXISTS (SELECT FROM messages m WHERE m.queue = new.queue AND m.identity = new.identity
                                               AND {CONFLICT} = new.content OFFSET 0)
    ON CONFLICT DO NOTHING
    RETURNING queue, encode(identity, 'hex'), encode(content, 'hex'), seq, conflict_of,
              {MAY_BE_COPY}, pg_notify(%(channel)s, '')"""

# The same for what was not inserted because its identity is taken, where the content is another one.
INSERT_CONFLICTS: LiteralString = f"""
    WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(%(lock)s)), {NEW}
    INSERT INTO messages ({COLUMNS})
    SELECT {VALUES}, m.seq FROM lock, new
    JOIN messages m ON m.queue = new.queue AND m.identity = new.identity AND {CONFLICT} = '\\x'
    WHERE m.content <> new.content
    ON CONFLICT DO NOTHING
    RETURNING queue, encode(identity, 'hex'), encode(content, 'hex'), seq, conflict_of,
              {MAY_BE_COPY}, pg_notify(%(channel)s, '')"""

# Skips a message that this very delivery stored (its consumer was killed or cut off before it knew). Returns
# the place of each message that is stored, and whether it is a duplicate or the next try after a failure.
INSERT_REPEATED: LiteralString = f"""
    WITH {NEW}, d AS (
        SELECT new.place, m.seq, new.message_id, new.receive_count, new.sent_at, new.received_at,
               (m.message_id, m.received_at) = (new.message_id, new.received_at) AS has_stored
        FROM new JOIN messages m ON m.queue = new.queue AND m.identity = new.identity
                                AND {CONFLICT} = ANY (ARRAY['\\x', new.content]) AND m.content = new.content
    ), added AS (
        INSERT INTO duplicates (seq, message_id, receive_count, sent_at, received_at)
        SELECT seq, message_id, receive_count, sent_at, received_at FROM d
        WHERE NOT has_stored AND (SELECT count(*) FROM duplicates o WHERE o.seq = d.seq) < %(most)s)
    SELECT d.place, NOT d.has_stored AND {IS_DUPLICATE} FROM d JOIN messages m USING (seq)"""

# A message may be found stored although no standby has it yet: the connection or the server ended while its
# commit waited for a synchronous one. If its delivery was deleted then, a failover would lose it. Reading
# waits for no standby, but a commit of something in the log does, and that comes after the message.
WAIT_FOR_STANDBY: LiteralString = "SELECT pg_logical_emit_message(true, 'fanout', '')"

# Seen of the sessions of the same role.
HANGING_COMMITS: LiteralString = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'SyncRep'
          AND query_start < clock_timestamp() - make_interval(secs => %s)"""
COMMIT_SECONDS = 3.0  # as long as no commit takes

# A resolved failure is of interest only beside its message.
PRUNE: LiteralString = f"""
    WITH removed AS (
        DELETE FROM messages WHERE seq IN (
            SELECT seq FROM messages
            WHERE seq <= (SELECT seq FROM messages ORDER BY seq DESC OFFSET %(keep)s LIMIT 1)
            ORDER BY seq LIMIT %(most)s)
        RETURNING queue, identity, content
    ), settled AS (
        DELETE FROM failures f USING removed m WHERE {IS_OF_MESSAGE} AND f.resolved_at IS NOT NULL
    )
    SELECT count(*) FROM removed"""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A message that was stored with this seq, though the message `of` has the same identity."""

    seq: int
    of: int


class Writer:
    """Adds messages to the store. Every method raises psycopg.OperationalError while it cannot be reached."""

    def __init__(self, database: Database, mask: Mask = NO_MASK) -> None:
        """Write to this database. Messages cannot be searched for what the mask hides."""
        self._database, self._mask = database, mask

    def add(self, deliveries: Sequence[Delivery]) -> list[int | Conflict | Repeated]:
        """Store messages durably, new ones in one transaction; return the seq of each.

        For a message that is stored already, only the further delivery is recorded; what it was is returned:
        a duplicate, or the next try of a message that had failed. A message that only has the identity of
        another one is stored, too. Listeners are notified on commit.
        """
        rows = [_row(place, delivery, self._mask) for place, delivery in enumerate(deliveries)]
        added: dict[int, int | Conflict | Repeated] = {}
        with self._database.connection() as connection:
            while left := [row for row in rows if row["place"] not in added]:
                added |= _insert(connection, INSERT, left)
                known = [row for row in left if row["place"] not in added]
                if not known:
                    break
                added |= _insert(connection, INSERT_CONFLICTS, known)
                known = [_keys(row) for row in known if row["place"] not in added]
                # Again from the beginning, if one was removed from the store in the meantime.
                for place, is_duplicate in connection.execute(INSERT_REPEATED, _parameters(known)):
                    added[place] = "duplicate" if is_duplicate else "retried"
                connection.execute(WAIT_FOR_STANDBY)
        return [added[row["place"]] for row in rows]

    def check_commits(self) -> None:
        """Raise psycopg.OperationalError if commits hang because no synchronous standby is there."""
        with self._database.connection() as connection:
            row = connection.execute(HANGING_COMMITS, [COMMIT_SECONDS]).fetchone()
        if row != (0,):
            raise psycopg.OperationalError("commits wait for a synchronous standby")

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


def publication_columns(message: Message) -> dict[str, str | dict[str, str] | None]:
    """Return how a message was published, by column, in the form that PostgreSQL can hold."""
    known = message.publication
    texts = {
        "topic": known.topic,
        "topic_arn": known.topic_arn,
        "subject": known.subject,
        "sns_message_id": known.message_id,
        "group_id": known.group_id,
        "deduplication_id": known.deduplication_id,
        "sequence_number": known.sequence_number,
    }
    types = storable_attributes(known.attribute_types)
    return {name: text and storable(text) for name, text in texts.items()} | {"attribute_types": types}


def storable_title(message: Message) -> str | None:
    """Return the beginning of the title of a message in the form that PostgreSQL can hold."""
    return storable(message.title[:PREVIEW_LENGTH]) if message.title else None


def _insert(
    connection: psycopg.Connection[TupleRow], statement: LiteralString, rows: Sequence[Mapping[str, Any]]
) -> dict[int, int | Conflict | Repeated]:
    """Return what was stored, by its place in the batch."""
    inserted = connection.execute(statement, _parameters(rows)).fetchall()
    found: dict[tuple[str, ...], int | Conflict] = {}
    for *key, seq, of, may_be_copy, _ in inserted:
        found[tuple(key)] = Conflict(seq, of) if of else seq
        if may_be_copy:
            claim(connection, seq)
    # If a message is in the batch twice, the first one is the new one.
    taken = {row["place"]: found.pop(_key(row), None) for row in rows}
    return {place: one for place, one in taken.items() if one is not None}


def _parameters(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    values = {"lock": APPEND_LOCK, "channel": CHANNEL, "most": MAX_DUPLICATES}
    return {"rows": json.dumps(list(rows)), **values}


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["queue"], row["identity"], row["content"]


def _keys(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a row that finds a stored message, and says which delivery it is."""
    names = ("place", "queue", "identity", "content", "message_id", "receive_count", "sent_at", "received_at")
    return {name: row[name] for name in names}


def _row(place: int, delivery: Delivery, mask: Mask) -> dict[str, Any]:
    message = delivery.message
    return {
        "place": place,
        "queue": delivery.queue,
        "identity": message.identity.hex(),
        "content": message.content.hex(),
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time.isoformat(),
        "event_time": message.event_time and message.event_time.isoformat(),
        "body": storable(message.body),
        "title": storable_title(message),
        "preview": storable(message.preview),
        "color": message.color,
        "sequence": message.sequence,
        "size": len(message.body.encode("utf-8", "surrogatepass")),
        "message_id": delivery.message_id,
        "receive_count": delivery.receive_count,
        "attributes": storable_attributes(delivery.attributes),
        "sent_at": delivery.sent_at.isoformat(),
        "received_at": delivery.received_at.isoformat(),
        **publication_columns(message),
        "terms": index_terms(_masked(message, mask), mask.attributes(delivery.attributes), delivery.queue),
    }


def _masked(message: Message, mask: Mask) -> Message:
    """Return the message with what its masked body says, and without its subject if that is masked."""
    body, subject = mask.body(message.body, message.attributes), message.publication.subject
    is_subject_shown = subject is None or mask.member("subject", subject) == subject
    if body == message.body and is_subject_shown:
        return message
    seen = read_stored(body, mask.attributes(message.attributes))
    publication = message.publication if is_subject_shown else replace(message.publication, subject=None)
    return replace(message, body=body, data=seen.data, title=seen.title, publication=publication)

"""The store: every message once, in PostgreSQL, in an order that whoever follows it can trust.

A follower reads `seq > what it has seen`. That is only safe if a lower number never becomes visible after a
higher one, and PostgreSQL alone does not promise it: numbers are drawn when a row is inserted, rows appear
when their transaction commits, and two consumers may do the one in one order and the other in the opposite.
So a transaction that adds messages first takes an advisory lock and holds it until its commit is durable:
numbers are drawn in the order of commits. It costs consumers a queue of one at the moment of inserting;
receiving, handling and deleting still overlap, and a batch waits once, not once per message.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, Literal, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, class_row, dict_row
from psycopg_pool import ConnectionPool

from pipeline.message import Delivery, storable
from pipeline.search import EVERYTHING, IS_DUPLICATE, STATUSES, STATUSES_OF_FEW, Search, index_terms

CHANNEL = "fanout_messages"
DELETED = "deleted"  # what a notification says when messages were deleted, not added
# Arbitrary numbers of ours, for pg_advisory_xact_lock.
SCHEMA_LOCK = 7_266_001
APPEND_LOCK = 7_266_002
PRUNE_LOCK = 7_266_003

PRUNED_AT_ONCE = 2000
NEWEST_SEARCHED = 20_000

CONNECT_TIMEOUT_SECONDS = 5
# A server that hangs breaks no connection: this is how long a statement may take. With a long poll before it
# that is well below what STALL_SECONDS is by default.
ANSWER_SECONDS = 15.0

Result = TypeVar("Result")
Repeated = Literal["duplicate", "retried"]  # what the delivery of a stored message was


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list and the live stream show of a stored message.

    `since_previous_seconds` is the time from the publishing of the message stored before it to its own: the
    same for every reader, and None for the first. It is negative where a later message overtook an earlier.
    `receive_count` is of the delivery that stored it, `tries` the highest known. `status` is the
    first of pipeline.search.STATUSES that is true now: None of a message that was handled at once.
    """

    seq: int
    source: str
    id: str
    type: str
    time: datetime
    preview: str
    color: str | None
    sequence: int | None
    size: int
    receive_count: int
    stored_at: datetime
    latency_seconds: float
    since_previous_seconds: float | None
    tries: int
    status: str | None


@dataclass(frozen=True, slots=True)
class StoredMessage(Summary):
    """A message whole, with the delivery that brought it."""

    body: str
    message_id: str
    attributes: Mapping[str, str]
    sent_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A message that meets some conditions of a search; `failed` is the first that it does not meet."""

    message: Summary
    failed: str


@dataclass(frozen=True, slots=True)
class Facets:
    """How often each value occurs among the `counted` newest messages found; `complete` if these are all.

    `values` are lists of (value, count) by the name that a search knows them by: type, status, attr.tenant.
    """

    counted: int
    complete: bool
    values: Mapping[str, Sequence[tuple[str, int]]]


_STATUS: LiteralString = " ".join(
    f"WHEN {condition} THEN '{name}'" for name, condition in STATUSES_OF_FEW.items()
)
_STATUSES: LiteralString = ", ".join(
    f"CASE WHEN {condition} THEN '{name}' END" for name, condition in STATUSES.items()
)
SUMMARY_COLUMNS: LiteralString = f"""
    m.seq, m.source, m.id, m.type, m.time, m.preview, m.color, m.sequence, m.size, m.receive_count,
    m.stored_at,
    extract(epoch FROM m.stored_at - m.time)::float8 AS latency_seconds,
    extract(epoch FROM m.time - (
        SELECT p.time FROM messages p WHERE p.seq < m.seq ORDER BY p.seq DESC LIMIT 1
    ))::float8 AS since_previous_seconds,
    greatest(m.receive_count,
             (SELECT max(f.tries) FROM failures f WHERE f.identity = m.identity),
             (SELECT max(d.receive_count) FROM duplicates d WHERE d.seq = m.seq)) AS tries,
    CASE {_STATUS} END AS status"""
WHOLE_COLUMNS: LiteralString = (
    f"{SUMMARY_COLUMNS}, m.body, m.message_id, m.attributes, m.sent_at, m.received_at"
)

# One statement for a batch, and so one transaction: each further one would be a way to the server and back.
# The lock comes first, as no row can be joined to it before; the same notification is sent only once.
INSERT: LiteralString = """
    WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s))
    INSERT INTO messages (identity, source, id, type, time, body, preview, color, sequence, size,
                          message_id, receive_count, attributes, sent_at, received_at, terms)
    SELECT decode(identity, 'hex'), source, id, type, time, body, preview, color, sequence, size,
           message_id, receive_count, attributes, sent_at, received_at, array_to_tsvector(terms)
    FROM lock, json_to_recordset(%s) AS new (
        identity text, source text, id text, type text, time timestamptz, body text, preview text, color text,
        sequence bigint, size integer, message_id text, receive_count integer, attributes jsonb,
        sent_at timestamptz, received_at timestamptz, terms text[])
    ON CONFLICT (identity) DO NOTHING
    RETURNING encode(identity, 'hex'), seq, pg_notify(%s, '')"""

# Not noted is what was stored by this very delivery, though its consumer was never told. Of those that are
# duplicates it returns the identity; NULL of a next try after a failure.
INSERT_REPEATED: LiteralString = f"""
    INSERT INTO duplicates AS d (seq, message_id, receive_count, sent_at, received_at)
    SELECT m.seq, new.message_id, new.receive_count, new.sent_at, new.received_at
    FROM json_to_recordset(%s) AS new (
        identity text, message_id text, receive_count integer, sent_at timestamptz, received_at timestamptz)
    JOIN messages m ON m.identity = decode(new.identity, 'hex')
    WHERE (m.message_id, m.received_at) <> (new.message_id, new.received_at)
    RETURNING (SELECT encode(m.identity, 'hex') FROM messages m WHERE m.seq = d.seq AND {IS_DUPLICATE})"""

# A failure that came to a good end is of interest only beside its message.
PRUNE: LiteralString = """
    WITH removed AS (
        DELETE FROM messages WHERE seq IN (
            SELECT seq FROM messages
            WHERE seq <= (SELECT seq FROM messages ORDER BY seq DESC OFFSET %(keep)s LIMIT 1)
            ORDER BY seq LIMIT %(most)s)
        RETURNING identity
    ), settled AS (
        DELETE FROM failures f USING removed r WHERE f.identity = r.identity AND f.resolved_at IS NOT NULL
    )
    SELECT count(*) FROM removed"""


class _Connection(psycopg.Connection[TupleRow]):
    """A connection that gives up on a statement that is not answered in time."""

    answer_seconds: float | None = ANSWER_SECONDS

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """Wait for the server as psycopg does, but not without end."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError:
            if self.info.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()  # what it says later would be taken for the answer to the next statement
            reason = f"PostgreSQL has not answered for {self.answer_seconds:g} s"
            raise psycopg.OperationalError(reason) from None


class Store:
    """Messages in PostgreSQL. Every method raises psycopg.OperationalError while it cannot be reached."""

    def __init__(
        self, database_url: str, max_connections: int = 10, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        """Connect nothing yet: connections are opened when they are first needed.

        A server that does not answer a statement in `answer_seconds` cannot be reached, either.
        """
        self._url = database_url
        self._answer_seconds = answer_seconds
        self._pool = ConnectionPool(
            database_url,
            connection_class=_Connection,
            kwargs={"autocommit": True, **_connection_options()},
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=CONNECT_TIMEOUT_SECONDS,
            # The pool's own attempts back off to minutes; ours (pipeline.retry) ask for a new connection
            # every few seconds, so let it give up early and try afresh.
            reconnect_timeout=1,
        )
        self._pool.open()

    @contextlib.contextmanager
    def connection(self, *, patient: bool = False) -> Iterator[psycopg.Connection[TupleRow]]:
        """Lend a connection; statements commit one by one, unless `connection.transaction()` joins some.

        `patient` is for what may rightly take longer than any answer should.
        """
        with self._pool.connection() as connection:
            connection.answer_seconds = None if patient else self._answer_seconds
            try:
                yield connection
            finally:
                if connection.closed:
                    # So are the pool's others, when the server went away: let no further call meet them.
                    self._pool.drain()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def create_schema(self) -> None:
        """Create what is missing; safe while other processes do the same."""
        with self.connection(patient=True) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            connection.execute(resources.files("pipeline").joinpath("schema.sql").read_bytes())

    def check(self) -> None:
        """Return if the database answers and its schema is there."""
        with self.connection() as connection:
            row = connection.execute("SELECT to_regclass('messages') IS NOT NULL").fetchone()
            if row != (True,):
                raise psycopg.OperationalError("the schema is not created yet")

    def add(self, deliveries: Sequence[Delivery]) -> list[int | Repeated]:
        """Store new messages durably in one transaction; return each one's seq.

        Of one already there only the further delivery is noted, and returned is what that was: a duplicate,
        or the next try of a message that had failed. Listeners are notified as it commits.
        """
        rows = [_row(delivery) for delivery in deliveries]
        with self.connection() as connection:
            inserted = connection.execute(INSERT, [APPEND_LOCK, json.dumps(rows), CHANNEL]).fetchall()
            new = {identity: seq for identity, seq, _ in inserted}
            # Of a message that is twice in the batch, the first is the new one.
            seqs = [new.pop(row["identity"], None) for row in rows]
            repeated = [row for row, seq in zip(rows, seqs, strict=True) if seq is None]
            if not repeated:
                return seqs
            duplicates = {
                identity for (identity,) in connection.execute(INSERT_REPEATED, [json.dumps(repeated)])
            }
        return [
            seq or ("duplicate" if row["identity"] in duplicates else "retried")
            for row, seq in zip(rows, seqs, strict=True)
        ]

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` messages, in short transactions; return how many were removed.

        Only one process prunes at a time; in the others it returns 0 at once.
        """
        removed = 0
        while True:
            with self.connection() as connection, connection.transaction():
                free = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [PRUNE_LOCK]).fetchone()
                if free != (True,):
                    return removed
                row = connection.execute(PRUNE, {"keep": keep, "most": PRUNED_AT_ONCE}).fetchone()
                count = int(row[0]) if row else 0
            removed += count
            if count < PRUNED_AT_ONCE:
                return removed

    def settle_index(self) -> int:
        """Put into its place what the search index holds in its list of new entries; return how many pages.

        Otherwise an insert does it now and then, and all others wait for that one meanwhile: some hundred
        milliseconds every few thousand messages ("GIN Fast Update Technique", PostgreSQL).
        """
        with self.connection() as connection:
            row = connection.execute("SELECT gin_clean_pending_list('messages_terms')").fetchone()
            assert row is not None
            return int(row[0])

    def newest(self) -> int:
        """Return the highest seq, 0 if nothing is stored."""
        with self.connection() as connection:
            row = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
            assert row is not None
            return int(row[0])

    def find(
        self,
        wanted: Search = EVERYTHING,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Summary]:
        """Return up to `limit` messages, newest first.

        With `after` alone they are the ones that follow that seq directly, so that nothing is passed over
        when there are more than `limit`; otherwise the newest ones, those below `before` if it is given.
        """
        if after is not None and before is None:
            return self._find(_between(wanted, after, before), "m.seq", limit)[::-1]
        if not wanted.conditions:
            return self._find(_between(wanted, after, before), "m.seq DESC", limit)
        # PostgreSQL cannot know how rare a word is. Where there is little among the newest it would go on
        # through all messages, newest first: the sum makes it look them up by their terms, and sort them.
        newest = sql.SQL("m.seq > {} - {}").format(
            sql.SQL("(SELECT max(seq) FROM messages)") if before is None else sql.Literal(before),
            sql.Literal(NEWEST_SEARCHED),
        )
        condition = _between(wanted, after, before)
        found = self._find(sql.SQL("{} AND {}").format(condition, newest), "m.seq DESC", limit)
        return found if len(found) == limit else self._find(condition, "m.seq + 0 DESC", limit)

    def _find(self, condition: sql.Composable, order: LiteralString, limit: int) -> list[Summary]:
        query = _page(SUMMARY_COLUMNS, condition, order, limit)
        with self.connection() as connection:
            return connection.cursor(row_factory=class_row(Summary)).execute(query).fetchall()

    def count(
        self, wanted: Search = EVERYTHING, *, after: int | None = None, before: int | None = None
    ) -> int:
        """Return how many messages there are between the two, neither of them included."""
        query = sql.SQL("SELECT count(*) FROM messages m WHERE {}").format(_between(wanted, after, before))
        with self.connection() as connection:
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    def delete(self, wanted: Search) -> int:
        """Delete what is found; return how many messages that were. Listeners are notified as it commits."""
        query = sql.SQL("DELETE FROM messages m WHERE {}").format(wanted.sql)
        with self.connection(patient=True) as connection, connection.transaction():
            connection.execute(f"NOTIFY {CHANNEL}, '{DELETED}'")
            return connection.execute(query).rowcount

    def found_by(self, searches: Sequence[Search], *, after: int, before: int) -> list[set[int]]:
        """Return for each search which seqs it finds between the two, all by one query."""
        found: list[set[int]] = [set() for _ in searches]
        if not searches:
            return found
        numbers = [
            sql.SQL("CASE WHEN {} THEN {} END").format(search.sql, sql.Literal(number))
            for number, search in enumerate(searches)
        ]
        query = sql.SQL("SELECT m.seq, array_remove(ARRAY[{}], NULL) FROM messages m WHERE {}").format(
            sql.SQL(", ").join(numbers), _between(EVERYTHING, after, before)
        )
        with self.connection() as connection:
            for seq, finders in connection.execute(query):
                for number in finders:
                    found[number].add(seq)
        return found

    def nearest(self, wanted: Search, *, limit: int, after: int | None = None) -> list[NearMiss]:
        """Return what meets most conditions but not all, of the thousand newest messages after that seq."""
        met = [sql.SQL("coalesce({}, false)").format(part.sql) for part in wanted.conditions]
        query = sql.SQL(
            """
            SELECT n.met, {columns} FROM (
                SELECT m.seq, ARRAY[{met}]::boolean[] AS met FROM messages m WHERE {between}
                ORDER BY m.seq DESC LIMIT 1000
            ) n JOIN messages m USING (seq)
            WHERE false = ANY (n.met)
            ORDER BY cardinality(array_positions(n.met, true)) DESC, m.seq DESC LIMIT {limit}"""
        ).format(
            columns=sql.SQL(SUMMARY_COLUMNS),
            met=sql.SQL(", ").join(met),
            between=_between(EVERYTHING, after, None),
            limit=sql.Literal(limit),
        )
        with self.connection() as connection:
            rows = connection.cursor(row_factory=dict_row).execute(query).fetchall()
        failed = [_first_failed(wanted, row.pop("met")) for row in rows]
        return [NearMiss(Summary(**row), text) for row, text in zip(rows, failed, strict=True)]

    def facets(self, wanted: Search, *, most: int = 10_000, values: int = 10) -> Facets:
        """Return the commonest values of type, source, status and attributes among the newest found."""
        query = sql.SQL(
            """
            WITH found AS (
                SELECT m.type, m.source, m.attributes, ARRAY[{statuses}] AS statuses
                FROM (SELECT * FROM messages m WHERE {wanted} ORDER BY m.seq DESC LIMIT {most}) m
            ), named (name, value) AS (
                SELECT 'type', type FROM found
                UNION ALL SELECT 'source', source FROM found
                UNION ALL SELECT 'status', status FROM found, unnest(statuses) AS status
                          WHERE status IS NOT NULL
                UNION ALL SELECT 'attr.' || a.key, a.value FROM found, jsonb_each_text(attributes) a
                          WHERE a.key NOT IN ('type', 'source')
            ), counted AS (
                SELECT name, value, count(*) AS count,
                       row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, value) AS place
                FROM named GROUP BY name, value
            )
            SELECT '' AS name, '' AS value, (SELECT count(*) FROM found) AS count, 0 AS place
            UNION ALL SELECT name, value, count, place FROM counted WHERE place <= {values}
            ORDER BY name, place"""
        ).format(
            statuses=sql.SQL(_STATUSES),
            wanted=wanted.sql,
            most=sql.Literal(most),
            values=sql.Literal(values),
        )
        with self.connection() as connection:
            (_, _, counted, _), *rows = connection.execute(query).fetchall()
        found: dict[str, list[tuple[str, int]]] = {}
        for name, value, count, _ in rows:
            found.setdefault(name, []).append((value, count))
        return Facets(counted, counted < most, found)

    def read(
        self, wanted: Search = EVERYTHING, *, limit: int, after: int, before: int | None = None
    ) -> list[StoredMessage]:
        """Return up to `limit` messages whole, oldest first: those that follow that seq directly."""
        return self._read(_between(wanted, after, before), limit)

    def get(self, seq: int) -> StoredMessage | None:
        """Return one message whole, or None."""
        found = self._read(sql.SQL("m.seq = {}").format(sql.Literal(seq)), 1)
        return found[0] if found else None

    def _read(self, condition: sql.Composable, limit: int) -> list[StoredMessage]:
        query = _page(WHOLE_COLUMNS, condition, "m.seq", limit)
        with self.connection() as connection:
            return connection.cursor(row_factory=class_row(StoredMessage)).execute(query).fetchall()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Callable[[float], set[str]]]:
        """Yield a function that waits up to so many seconds for notifications and returns what they say.

        They say "" where messages were added and DELETED where some were deleted. It uses a connection of its
        own. What happens from the moment of entering on is not missed.
        """
        with _Connection.connect(self._url, autocommit=True, **_connection_options()) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield lambda seconds: {
                notification.payload for notification in connection.notifies(timeout=seconds, stop_after=1)
            }


def _page(
    columns: LiteralString, condition: sql.Composable, order: LiteralString, limit: int
) -> sql.Composed:
    # Chosen first, described then: the planner would prepare for describing every message otherwise.
    return sql.SQL(
        """
        SELECT {columns} FROM (
            SELECT * FROM messages m WHERE {condition} ORDER BY {order} LIMIT {limit}
        ) m ORDER BY {order}"""
    ).format(columns=sql.SQL(columns), condition=condition, order=sql.SQL(order), limit=sql.Literal(limit))


def _first_failed(wanted: Search, met: Sequence[bool]) -> str:
    return next(part.text for part, fine in zip(wanted.conditions, met, strict=True) if not fine)


def _between(wanted: Search, after: int | None, before: int | None) -> sql.Composable:
    """Return the condition for what is wanted between two seqs, neither of them included."""
    parts = [wanted.sql]
    if after is not None:
        parts.append(sql.SQL("m.seq > {}").format(sql.Literal(after)))
    if before is not None:
        parts.append(sql.SQL("m.seq < {}").format(sql.Literal(before)))
    return sql.SQL(" AND ").join(parts)


def _connection_options() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": f"fanout {threading.current_thread().name}",
        # A server that vanished without a word is noticed within half a minute, and within ten seconds when
        # something was sent to it: left alone, the kernel would repeat that for a quarter of an hour, and the
        # loop would count as stalled.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "options": "-c timezone=UTC",
    }


def storable_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return them as PostgreSQL can hold them in jsonb."""
    return {storable(name): storable(value) for name, value in attributes.items()}


def _row(delivery: Delivery) -> dict[str, Any]:
    message = delivery.message
    return {
        "identity": message.identity.hex(),
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time.isoformat(),
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

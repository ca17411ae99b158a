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
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

from pipeline.message import Delivery, Message

CHANNEL = "fanout_messages"
# Two arbitrary numbers of ours, for pg_advisory_xact_lock.
SCHEMA_LOCK = 7_266_001
APPEND_LOCK = 7_266_002

CONNECT_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list and the live stream show of a stored message.

    `since_previous_seconds` is the time from the publishing of the message stored before it to its own: the
    same for every reader, and None for the first. It is negative where a later message overtook an earlier.
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


@dataclass(frozen=True, slots=True)
class StoredMessage(Summary):
    """A message whole, with the delivery that brought it."""

    body: str
    message_id: str
    attributes: Mapping[str, str]
    sent_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages a list holds; None means any. `since` is included, `until` is not."""

    source: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


SUMMARY_COLUMNS: LiteralString = """
    m.seq, m.source, m.id, m.type, m.time, m.preview, m.color, m.sequence, m.size, m.receive_count,
    m.stored_at,
    extract(epoch FROM m.stored_at - m.time)::float8 AS latency_seconds,
    extract(epoch FROM m.time - (
        SELECT p.time FROM messages p WHERE p.seq < m.seq ORDER BY p.seq DESC LIMIT 1
    ))::float8 AS since_previous_seconds"""

INSERT: LiteralString = """
    INSERT INTO messages (identity, source, id, type, time, body, preview, color, sequence, size,
                          message_id, receive_count, attributes, sent_at, received_at)
    VALUES (%(identity)s, %(source)s, %(id)s, %(type)s, %(time)s, %(body)s, %(preview)s, %(color)s,
            %(sequence)s, %(size)s, %(message_id)s, %(receive_count)s, %(attributes)s, %(sent_at)s,
            %(received_at)s)
    ON CONFLICT (identity) DO NOTHING
    RETURNING seq"""


class Store:
    """Messages in PostgreSQL. Every method raises psycopg.OperationalError while it cannot be reached."""

    def __init__(self, database_url: str, max_connections: int = 10) -> None:
        """Connect nothing yet: connections are opened when they are first needed."""
        self._url = database_url
        self._pool = ConnectionPool(
            database_url,
            kwargs=_connection_options(),
            min_size=0,
            max_size=max_connections,
            open=False,
            timeout=CONNECT_TIMEOUT_SECONDS,
            # The pool's own attempts back off to minutes; ours (pipeline.retry) ask for a new connection
            # every few seconds, so let it give up early and try afresh.
            reconnect_timeout=1,
        )
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def create_schema(self) -> None:
        """Create what is missing; safe while other processes do the same."""
        with self._pool.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            connection.execute(resources.files("pipeline").joinpath("schema.sql").read_bytes())

    def check(self) -> None:
        """Return if the database answers."""
        with self._pool.connection() as connection:
            connection.execute("SELECT 1")

    def add(self, arrivals: Sequence[tuple[Message, Delivery]]) -> list[int | None]:
        """Store new messages durably in one transaction; return each one's seq, None for one already there.

        Listeners are notified as the transaction commits.
        """
        with self._pool.connection() as connection, connection.pipeline(), connection.cursor() as cursor:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            cursor.executemany(INSERT, [_row(*arrival) for arrival in arrivals], returning=True)
            connection.execute(f"NOTIFY {CHANNEL}")
            return [row[0] if (row := result.fetchone()) else None for result in cursor.results()]

    def newest(self) -> int:
        """Return the highest seq, 0 if nothing is stored."""
        with self._pool.connection() as connection:
            row = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
            assert row is not None
            return int(row[0])

    def find(
        self, wanted: Filter, *, limit: int, before: int | None = None, after: int | None = None
    ) -> list[Summary]:
        """Return up to `limit` messages, newest first.

        With `after` alone they are the ones that follow that seq directly, so that nothing is passed over
        when there are more than `limit`; otherwise the newest ones, those below `before` if it is given.
        """
        ascending = after is not None and before is None
        conditions: list[LiteralString] = []
        if before is not None:
            conditions.append("m.seq < %(before)s")
        if after is not None:
            conditions.append("m.seq > %(after)s")
        if wanted.source is not None:
            conditions.append("m.source = %(source)s")
        if wanted.type is not None:
            conditions.append("m.type = %(type)s")
        if wanted.since is not None:
            conditions.append("m.time >= %(since)s")
        if wanted.until is not None:
            conditions.append("m.time < %(until)s")
        query = (
            f"SELECT {SUMMARY_COLUMNS} FROM messages m"
            + (" WHERE " + " AND ".join(conditions) if conditions else "")
            + (" ORDER BY m.seq" if ascending else " ORDER BY m.seq DESC")
            + " LIMIT %(limit)s"
        )
        values = {
            "limit": limit,
            "before": before,
            "after": after,
            "source": wanted.source and storable(wanted.source),
            "type": wanted.type and storable(wanted.type),
            "since": wanted.since,
            "until": wanted.until,
        }
        with self._pool.connection() as connection:
            found = connection.cursor(row_factory=class_row(Summary)).execute(query, values).fetchall()
        return found[::-1] if ascending else found

    def get(self, seq: int) -> StoredMessage | None:
        """Return one message whole, or None."""
        query: LiteralString = f"""
            SELECT {SUMMARY_COLUMNS}, m.body, m.message_id, m.attributes, m.sent_at, m.received_at
            FROM messages m WHERE m.seq = %s"""
        with self._pool.connection() as connection:
            return connection.cursor(row_factory=class_row(StoredMessage)).execute(query, [seq]).fetchone()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Callable[[float], bool]]:
        """Yield a function that waits up to so many seconds for new messages and tells whether any came.

        It uses a connection of its own. What is added from the moment of entering on is not missed.
        """
        with psycopg.connect(self._url, autocommit=True, **_connection_options()) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield lambda seconds: bool(list(connection.notifies(timeout=seconds, stop_after=1)))


def storable(text: str) -> str:
    r"""Return the text as PostgreSQL can hold it: NUL and lone surrogates written out as \u0000, \ud800."""
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _connection_options() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": f"fanout {threading.current_thread().name}",
        # A server that vanished without a word is noticed within half a minute, and within ten seconds by whom
        # it leaves without an answer: the kernel would repeat that for a quarter of an hour, and the loop would
        # count as stalled.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "options": "-c timezone=UTC",
    }


def _row(message: Message, delivery: Delivery) -> dict[str, Any]:
    return {
        "identity": message.identity,
        "source": storable(message.source),
        "id": storable(message.id),
        "type": storable(message.type),
        "time": message.time,
        "body": storable(message.body),
        "preview": storable(message.preview),
        "color": message.color,
        "sequence": message.sequence,
        "size": len(message.body.encode("utf-8", "surrogatepass")),
        "message_id": delivery.message_id,
        "receive_count": delivery.receive_count,
        "attributes": json.dumps({storable(k): storable(v) for k, v in delivery.attributes.items()}),
        "sent_at": delivery.sent_at,
        "received_at": delivery.received_at,
    }

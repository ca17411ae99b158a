"""Connections to PostgreSQL: a pool, and how long to wait for a server that does not answer.

The URL may name several servers, of which one is the primary and may change ("Specifying Multiple Hosts",
libpq). Only a server that can be written to is used: with another one the store would stand still unnoticed.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

SCHEMA = "fanout_store"
CHANNEL = "fanout_messages"
DELETED = "deleted"  # the payload of a notification that messages were deleted, not added

CONNECT_TIMEOUT_SECONDS = 5  # of all servers together, unless there are more than two
MIN_CONNECT_TIMEOUT_SECONDS = 2  # of each server; libpq has no shorter one
ASK_AGAIN_SECONDS = 1.0
# A server that hangs breaks no connection: this is how long a statement may take. Together with a long poll
# it must stay well below the default of STALL_SECONDS.
ANSWER_SECONDS = 15.0
CANCEL_SECONDS = 1.0

Result = TypeVar("Result")


class _Connection(psycopg.Connection[TupleRow]):
    """A connection that gives up on a statement that the server does not answer in time, and cancels one on
    the server as soon as nobody waits for its result any more.
    """

    answer_seconds: float | None = ANSWER_SECONDS
    abandoned: Callable[[], bool] | None = None

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect as psycopg does; pass the error, or None, to the option `note` if it is given."""
        note: Callable[[psycopg.Error | None], None] = options.pop("note", lambda _: None)
        try:
            connection = super().connect(conninfo, **options)
        except psycopg.Error as error:
            note(error)
            raise
        note(None)
        return connection

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """Wait for the server as psycopg does, but for a limited time."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        if self.abandoned:
            gen = self._cancel_if(self.abandoned, gen)
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError:
            if self.info.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()  # a late answer would be taken for that to the next statement
            reason = f"PostgreSQL has not answered for {self.answer_seconds:g} s"
            raise psycopg.OperationalError(reason) from None

    def _cancel_if(self, abandoned: Callable[[], bool], gen: PQGen[Result]) -> PQGen[Result]:
        """Wait as `gen` does; each time that nothing came for an interval, look whether it was abandoned."""
        cancelled = False
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and not cancelled and abandoned():
                    cancelled = True
                    self.cancel_safe(timeout=CANCEL_SECONDS)
                wanted = gen.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result


class Database:
    """A PostgreSQL database. Every method raises psycopg.OperationalError while it cannot be reached."""

    def __init__(
        self,
        database_url: str,
        *,
        schema_version: int,
        max_connections: int = 10,
        answer_seconds: float = ANSWER_SECONDS,
        statement_seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> None:
        """Open no connection yet: each is opened when it is first needed.

        The database refuses inserts unless its schema has `schema_version`. A server that does not answer a
        statement within `answer_seconds` counts as unreachable. The server itself ends a statement after
        `statement_seconds`, if given, and soon after `abandoned` has returned true: both raise QueryCanceled.
        """
        self._url = database_url
        self._options = _connection_options(database_url, schema_version, statement_seconds)
        self._answer_seconds = answer_seconds
        self._abandoned = abandoned
        self._failure: psycopg.Error | None = None  # of the last attempt to connect
        self._pool = ConnectionPool(
            database_url,
            connection_class=_Connection,
            kwargs={"autocommit": True, "note": self._note, **self._options},
            min_size=0,
            max_size=max_connections,
            open=False,
            # The pool's own attempts back off to minutes. Callers (pipeline.retry) ask for a new connection
            # every few seconds, so the pool should give up early.
            reconnect_timeout=1,
        )
        self._pool.open()

    @contextlib.contextmanager
    def connection(self, *, patient: bool = False) -> Iterator[psycopg.Connection[TupleRow]]:
        """Lend a connection. Each statement commits by itself, unless inside `connection.transaction()`.

        A `patient` connection waits for its statements without a limit of its own, and never cancels one.
        """
        connection = self._take()
        try:
            with connection:
                connection.answer_seconds = None if patient else self._answer_seconds
                connection.abandoned = None if patient else self._abandoned
                with self._unlimited(connection) if patient else contextlib.nullcontext():
                    yield connection
        except psycopg.errors.ReadOnlySqlTransaction:
            connection.close()  # no primary any more, while the connection still works
            raise
        finally:
            if connection.closed:
                # When the server went away, the pool's other connections are broken too.
                self._pool.drain()
            self._pool.putconn(connection)

    def _take(self) -> _Connection:
        """Take a connection from the pool; raises why there is none as soon as an attempt to connect failed.

        The pool would let its callers wait for the whole time, even after it has given up.
        """
        give_up_at = time.monotonic() + CONNECT_TIMEOUT_SECONDS
        while True:
            try:
                connection = self._pool.getconn(ASK_AGAIN_SECONDS)
            except PoolTimeout:
                if self._failure:
                    raise psycopg.OperationalError(str(self._failure)) from None
                if time.monotonic() > give_up_at:
                    raise
                continue
            if reason := _why_read_only(connection):
                connection.close()
                self._pool.drain()
                self._pool.putconn(connection)
                raise psycopg.OperationalError(reason)
            return connection

    def _note(self, failure: psycopg.Error | None) -> None:
        self._failure = failure

    @contextlib.contextmanager
    def _unlimited(self, connection: psycopg.Connection[TupleRow]) -> Iterator[None]:
        connection.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            if not connection.closed:
                connection.execute("RESET statement_timeout")

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Callable[[float], set[str]]]:
        """Yield a function that waits so many seconds for a notification and returns its payload in a set.

        The payload is "" when messages were added and DELETED when some were deleted; the set is empty on
        timeout. No notification is missed from entering on. This takes a connection outside the pool.
        """
        with _Connection.connect(self._url, autocommit=True, **self._options) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield lambda seconds: {
                notification.payload for notification in connection.notifies(timeout=seconds, stop_after=1)
            }


def _why_read_only(connection: psycopg.Connection[TupleRow]) -> str | None:
    """Return what is wrong if the server, as it has last reported, can only be read from."""
    info = connection.info
    if "on" not in (
        info.parameter_status("in_hot_standby"),
        info.parameter_status("default_transaction_read_only"),
    ):
        return None
    return f"PostgreSQL at {info.host}:{info.port} is read-only: a standby, or no longer the primary"


def _read_url(database_url: str) -> Mapping[str, Any]:
    try:
        return conninfo_to_dict(database_url)
    except psycopg.Error:
        # Its text quotes the URL, with the password.
        raise SystemExit("DATABASE_URL is not allowed: libpq cannot read it as a connection URI") from None


def _connection_options(
    database_url: str, schema_version: int, statement_seconds: float | None
) -> dict[str, Any]:
    named = _read_url(database_url)
    servers = str(named.get("host") or named.get("hostaddr") or "").count(",") + 1
    options = {
        "timezone": "UTC",
        "search_path": SCHEMA,
        "fanout.schema_version": schema_version,
        # Otherwise a statement runs to its end although the process that asked has gone.
        "client_connection_check_interval": "1s",
        "statement_timeout": f"{int(1000 * (statement_seconds or 0))}ms",  # 0: none
    }
    return {
        "connect_timeout": max(MIN_CONNECT_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS // servers),
        "target_session_attrs": named.get("target_session_attrs") or "read-write",
        "application_name": f"fanout {threading.current_thread().name}",
        # A server that vanishes is noticed within half a minute, and within ten seconds of sending to it. The
        # kernel's default is a quarter of an hour, in which the loop would count as stalled.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }

"""The worker: gunicorn's gevent worker, with a bound on what each connection, and all together, may cost.

gunicorn stops accepting connections when it has too many, so that probes would wait with everybody else.
Here, connections without a request are always accepted: if there are too many, the one that has waited
longest is closed. A request for which there is no room is answered with 503, but /health is always answered.
Receiving a request and sending its answer have deadlines.
"""

import gc
import json
import logging
import os
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from gevent import socket
from gevent.lock import Semaphore
from gevent.monkey import get_original
from gunicorn.http import errors
from gunicorn.workers.ggevent import GeventWorker

if TYPE_CHECKING:
    from pipeline.problems import Problem

# Of connections that have sent no whole head of a request yet, or none since the last answer.
MAX_WAITING = 500
MAX_PROBES = 100
# Requests begun before others get a turn, as thousands may arrive at once: of all clients, and of one.
MAX_STARTS = 20
MAX_STARTS_PER_CLIENT = 10
HANDSHAKE_SECONDS = 5
BODY_SECONDS = 20
# For each piece of an answer: a client that does not read is not waited for.
SEND_SECONDS = 20
# Objects made before the garbage collector runs. Each of ten thousand streams is a few that it looks at every
# time, which took a quarter of the CPU time of sending a message to all of them.
COLLECT_AFTER = 50_000
SEND_BUFFER_BYTES = 128 * 1024  # the kernel's, which counts as the pod's memory; it would grow to megabytes
# Of bodies that have arrived or are arriving: large ones by their number, the others by their size.
LARGE_BODY_BYTES = 64 * 1024
MAX_LARGE_BODIES = 6
MAX_SMALL_BODIES_BYTES = 8 * 2**20
MAX_DISCARDED_BYTES = 4 * 2**20
DISCARD_SECONDS = 2
RETRY_SECONDS = 5
PROBE = "/health"

STATUSES: dict[type[BaseException], int] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}

Result = TypeVar("Result")
_Socket = get_original("socket", "socket")
log = logging.getLogger(__name__)
access_log = logging.getLogger("access")


class Worker(GeventWorker):
    """Serves many connections; one that is slow, or asks for too much, costs only itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Set up nothing that needs gevent: the modules are not patched yet."""
        super().__init__(*args, **options)
        self._max_requests_in_hand = self.cfg.worker_connections
        self.worker_connections = self.cfg.worker_connections + MAX_WAITING + 2 * MAX_PROBES
        self.max_per_client = self._max_requests_in_hand
        self._waiting: dict[Any, None] = {}  # the longest first
        self._in_hand: Counter[str] = Counter()  # requests, by the client's address
        self._probes = 0
        self._bodies = Bodies()
        self._starts = Semaphore(MAX_STARTS)
        self._starts_of: dict[str, Semaphore] = {}  # by the client's address, while it has requests in hand

    def init_process(self) -> None:
        """Serve until told to stop."""
        gc.set_threshold(COLLECT_AFTER)
        super().init_process()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it is closed."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._wait(client)
        try:
            if not isinstance(client, ssl.SSLSocket) or _shakes_hands(client):
                super().handle(listener, client, addr)
        finally:
            self._waiting.pop(client, None)
            client.close()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Answer one request whose head has arrived. Raises StopIteration to close the connection."""
        self._waiting.pop(sock, None)
        client = addr[0]
        is_probe = req.path == PROBE
        if not self._has_room(client, is_probe=is_probe):
            self._refuse(sock, req, "too many requests are in hand; try again")
            raise StopIteration
        body = self._bodies.receive(req)
        rest, req.body = req.body, body
        sock.settimeout(SEND_SECONDS)
        self._count(client, 1, is_probe=is_probe)
        try:
            if not is_probe:
                self._take_turn(client)
            return bool(super().handle_request(listener_name, req, sock, addr))
        except TimeoutError:
            log.info("client does not read", extra={"client": client, "path": req.path[:200]})
            raise StopIteration from None
        finally:
            self._count(client, -1, is_probe=is_probe)
            req.body = rest  # gunicorn reads what was not read
            if body.release():
                _discard(sock)
            sock.settimeout(None)
            self._wait(sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that is none, with one line in the log."""
        if isinstance(exc, ssl.SSLError):
            log.debug("no TLS", extra={"reason": str(exc)})
        elif not _is_clients_fault(exc):
            super().handle_error(req, client, addr, exc)
        else:
            status = STATUSES.get(type(exc), 400)
            reason = str(exc)[:200]
            access_log.warning("malformed request %d", status, extra={"client": addr[0], "reason": reason})
            _send_problem(client, status, reason)

    def _take_turn(self, client: str) -> None:
        """Wait while many others begin. A probe does not, so it is behind few of them."""
        own = self._starts_of.setdefault(client, Semaphore(MAX_STARTS_PER_CLIENT))
        for turns in (own, self._starts):
            turns.acquire()
        for turns in (own, self._starts):
            gevent.get_hub().loop.run_callback(turns.release)

    def _wait(self, client: Any) -> None:
        self._waiting[client] = None
        if len(self._waiting) > MAX_WAITING:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            _hang_up(longest)

    def _has_room(self, client: str, *, is_probe: bool) -> bool:
        if is_probe:
            return self._probes < MAX_PROBES
        if self._in_hand.total() >= self._max_requests_in_hand:
            return False
        return bool(self._in_hand[client] < self.max_per_client)

    def _count(self, client: str, step: int, *, is_probe: bool) -> None:
        if is_probe:
            self._probes += step
            return
        self._in_hand[client] += step
        if not self._in_hand[client]:
            del self._in_hand[client]
            self._starts_of.pop(client, None)

    def _refuse(self, sock: Any, req: Any, why: str) -> None:
        access_log.info("%s %s 503", req.method, req.path[:200], extra={"reason": why})
        _send_problem(sock, 503, why, retry_after=RETRY_SECONDS)


class Bodies:
    """The bodies of requests that are in hand."""

    def __init__(self) -> None:
        """There are none."""
        self._large = self._small_bytes = 0

    def receive(self, req: Any) -> "Body":
        """Return the body of this request, which takes room from when it is read until it is released."""
        lengths = [int(value) for name, value in req.headers if name == "CONTENT-LENGTH"]
        is_chunked = any(name == "TRANSFER-ENCODING" for name, _ in req.headers)
        return Body(self, req, LARGE_BODY_BYTES + 1 if is_chunked else next(iter(lengths), 0))

    def take(self, size: int) -> None:
        """Take room for a body. Raises the Problem that there is none."""
        if size > LARGE_BODY_BYTES:
            has_room = self._large < MAX_LARGE_BODIES
        else:
            has_room = self._small_bytes + size <= MAX_SMALL_BODIES_BYTES
        if not has_room:
            raise _problem(503, "too many large requests are arriving; try again", RETRY_SECONDS)
        self._change(size, 1)

    def release(self, size: int) -> None:
        """Give the room back."""
        self._change(size, -1)

    def _change(self, size: int, step: int) -> None:
        if size > LARGE_BODY_BYTES:
            self._large += step
        else:
            self._small_bytes += step * size


class Body:
    """The body of one request, as WSGI's input. Methods raise the Problem that reading it has."""

    def __init__(self, bodies: Bodies, req: Any, size: int) -> None:
        """Read nothing yet: until a handler wants it, it stays with its sender."""
        self._bodies, self._req, self._size = bodies, req, size
        self._body = req.body
        self._seconds_left = float(BODY_SECONDS)
        self._has_room = self._is_broken = False

    def read(self, size: int | None = None) -> bytes:
        """Return so many bytes, fewer at the end."""
        return self._receive(lambda: bytes(self._body.read(size)))

    def readline(self, size: int | None = None) -> bytes:
        """Return the next line."""
        return self._receive(lambda: bytes(self._body.readline(size)))

    def readlines(self, size: int | None = None) -> list[bytes]:
        """Return the lines that are left."""
        return self._receive(lambda: list(self._body.readlines(size)))

    def __iter__(self) -> Iterator[bytes]:
        """Return line after line."""
        return iter(self.readline, b"")

    def release(self) -> bool:
        """Give its room back, when the request is answered; return whether a part of it was refused."""
        if self._has_room:
            self._bodies.release(self._size)
            self._has_room = False
        return self._is_broken

    def _receive(self, read: Callable[[], Result]) -> Result:
        try:
            if not self._has_room and self._size:
                self._bodies.take(self._size)
                self._has_room = True
            return self._in_time(read)
        except errors.ParseException as error:
            self._break()
            raise _problem(400, f"the body of the request is malformed: {error}") from None
        except Exception:
            self._break()
            raise

    def _in_time(self, read: Callable[[], Result]) -> Result:
        began = time.monotonic()
        too_slow = _problem(408, f"the body took longer than {BODY_SECONDS} s")
        with gevent.Timeout(self._seconds_left, too_slow):
            result = read()
        self._seconds_left -= time.monotonic() - began
        return result

    def _break(self) -> None:
        # Where the next request would begin is unknown.
        self._is_broken = True
        self._req.force_close()


def _problem(status: int, detail: str, retry_after: int | None = None) -> "Problem":
    # Only now: it imports Flask, which must not be imported before gevent has patched the modules.
    from pipeline.problems import Problem  # noqa: PLC0415

    return Problem(status, detail, retry_after=retry_after)


def _is_clients_fault(error: BaseException) -> bool:
    is_of_answer = type(error).__name__.startswith("InvalidResponse")
    return isinstance(error, errors.ParseException) and not is_of_answer


def _shakes_hands(client: Any) -> bool:
    """Return whether this connection speaks TLS, in time."""
    with gevent.Timeout(HANDSHAKE_SECONDS, False):  # type: ignore[arg-type]
        try:
            client.do_handshake()
        except OSError as error:
            log.debug("no TLS", extra={"reason": str(error)})
        else:
            return True
    return False


def ssl_context(_config: Any, default_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return a context that leaves the handshake to `Worker.handle`, for gunicorn's setting of this name."""
    context = default_factory()
    wrap = context.wrap_socket

    def wrap_socket(sock: Any, **options: Any) -> ssl.SSLSocket:
        return wrap(sock, **{**options, "do_handshake_on_connect": False})

    context.wrap_socket = wrap_socket  # type: ignore[method-assign, assignment]
    return context


def _hang_up(sock: Any) -> None:
    """Let whoever waits for data on this connection find its end."""
    try:
        # gevent's own socket would raise an error where it is waited for.
        with _Socket(fileno=os.dup(sock.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("closed already")


def _discard(sock: Any) -> None:
    """Read what is still arriving, for a moment: to close at once could destroy the answer on its way."""
    with gevent.Timeout(DISCARD_SECONDS, False):  # type: ignore[arg-type]
        try:
            socket.socket.shutdown(sock, socket.SHUT_WR)
            left = MAX_DISCARDED_BYTES
            while left > 0 and (data := sock.recv(65_536)):
                left -= len(data)
        except OSError:
            log.debug("closed already")


def _send_problem(sock: Any, status: int, detail: str, *, retry_after: int | None = None) -> None:
    title = HTTPStatus(status).phrase
    document = json.dumps({"title": title, "status": status, "detail": detail})
    head = [
        f"HTTP/1.1 {status} {title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(document)}",
    ]
    if retry_after is not None:
        head.append(f"Retry-After: {retry_after}")
    try:
        sock.settimeout(1)
        sock.sendall("\r\n".join([*head, "", document]).encode())
        _discard(sock)
    except OSError:
        log.debug("closed already")

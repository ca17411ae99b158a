"""Attacks on a running viewer, each as a function that takes its size, and what innocent readers notice."""

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import psutil
import requests

from pipeline.search.grammar import MAX_SCANS
from tests.support.examples import arrival
from tests.support.services import Service
from tests.support.stores import Store

SIGNS = "!#$%&+,./:;<=>?@[]^`{|}~"


# ---- searches


def expensive_search(number: int, phrases: int = MAX_SCANS) -> str:
    """Return a search that reads the text of every message for each of its phrases, and finds all of them."""
    pairs = itertools.islice(itertools.product(SIGNS, SIGNS), number * phrases, (number + 1) * phrases)
    return " ".join(f'-"{first}{second}{first}"' for first, second in pairs)


def dashes(count: int = 300) -> str:
    """Return one phrase of very many words."""
    return "-".join("a" for _ in range(count))


EXPENSIVE = (
    expensive_search(0),
    "-" + dashes(),
    dashes(),
    "a* b* c* d* e* f* 1* 2* 3*",
    "-data.text:* -data.word:*",
    "larger:1 smaller:999m -zzz",
    "status:dead status:duplicate",
)


def fill(store: Store, count: int, size: int, *, at_once: int = 25) -> None:
    """Store so many messages of about so many bytes, of words and signs."""
    text = " ".join(f"word{number % 500} {number:x}" for number in range(size // 12))
    for first in range(0, count, at_once):
        store.add([arrival({"text": text, "n": number}) for number in range(first, first + at_once)])


def search_at_once(
    service: Service, searches: list[str], path: str = "/api/messages"
) -> list[tuple[int, float]]:
    """Send these searches at the same time; return the status and the seconds of each."""

    def search(q: str) -> tuple[int, float]:
        began = time.monotonic()
        status = service.get(path, params={"q": q}).status_code
        return status, time.monotonic() - began

    with ThreadPoolExecutor(len(searches)) as pool:
        return list(pool.map(search, searches))


# ---- connections


def connect(port: int, text: bytes = b"", *, receive_buffer: int | None = None) -> socket.socket:
    """Open a connection to this machine and send this on it."""
    connection = socket.socket()
    connection.settimeout(10)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", port))
    connection.sendall(text)
    return connection


@contextlib.contextmanager
def connections(port: int, count: int, text: bytes = b"", **options: Any) -> Iterator[list[socket.socket]]:
    """Hold so many connections on which this was sent, and nothing is read."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            # One that the server closed at once was refused.
            with contextlib.suppress(OSError):
                opened.append(stack.enter_context(contextlib.closing(connect(port, text, **options))))
        yield opened


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def stalled_post(path: str = "/api/messages", size: int = 2_000_000) -> bytes:
    """Return a post whose last byte is missing."""
    head = ("Content-Type: application/json", f"Content-Length: {size}")
    return request("POST", path, *head, body=b'{"text":"' + b"x" * (size - 10))


def stream_request(**query: str) -> bytes:
    """Return the request of a live stream."""
    return request("GET", f"/api/stream?{urlencode(query)}")


def answer_to(port: int, text: bytes, seconds: float = 20) -> tuple[int | None, bytes]:
    """Send these bytes; return the status (None if the connection was closed without) and all that came."""
    with contextlib.closing(connect(port, text)) as connection:
        connection.settimeout(seconds)
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                received += part
                if b"\r\n\r\n" in received and b"chunked" not in received and complete(received):
                    break
    status = received.split(b" ", 2)[1:2]
    return (int(status[0]) if status else None), received


def complete(received: bytes) -> bool:
    """Return whether the body of this answer is as long as its head says."""
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0])


@contextlib.contextmanager
def dripping(port: int, count: int, beginning: bytes, drop: bytes, seconds: float = 0.5) -> Iterator[None]:
    """Hold so many connections that send a few bytes every so often, and open each again that is closed."""
    end = threading.Event()

    def drip() -> None:
        opened: list[socket.socket] = []
        while not end.wait(seconds):
            while len(opened) < count:
                with contextlib.suppress(OSError):
                    opened.append(connect(port, beginning))
            for connection in opened.copy():
                try:
                    connection.sendall(drop)
                except OSError:
                    connection.close()
                    opened.remove(connection)
        for connection in opened:
            connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(30)


# Each is refused with 400.
MALFORMED: dict[str, bytes] = {
    "a length that is no number": request("POST", "/login", "Content-Length: x"),
    "a negative length": request("POST", "/login", "Content-Length: -1"),
    "two lengths": request("POST", "/login", "Content-Length: 1", "Content-Length: 2", body=b"ab"),
    "a length and chunks": request(
        "POST", "/login", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "two hosts": request("GET", "/health", "Host: other"),
    "no method": b"/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of signs": b"G<T /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address with a space": b"GET /hea lth HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address with a byte beyond ASCII": b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown version": b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a header without a colon": request("GET", "/health", "nonsense"),
    "a header with a space in its name": request("GET", "/health", "na me: x"),
    "a header with NUL": request("GET", "/health", "name: \x00"),
    "a folded header": request("GET", "/health", "name: a", " b"),
    "lines that end in LF": b"GET /health HTTP/1.1\nHost: localhost\n\n",
    "chunks of no size": request(
        "POST",
        "/api/messages",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        body=b"zz\r\n{}\r\n0\r\n\r\n",
    ),
    "chunks over HTTP/1.0": b"POST /login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


# ---- what innocent readers notice


@dataclass
class Watch:
    """What `watching` saw: how long each answer took, and those that were not 200 or never came."""

    seconds: list[float] = field(default_factory=list)
    failures: list[object] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max(self.seconds, default=0.0)


@contextlib.contextmanager
def watching(service: Service, path: str = "/health", every: float = 0.1) -> Iterator[Watch]:
    """Ask for this on a new connection every so often."""
    watch, end = Watch(), threading.Event()

    def ask() -> None:
        while not end.wait(every):
            began = time.monotonic()
            try:
                answer = requests.get(service.url + path, timeout=30)
                if answer.status_code != 200:
                    watch.failures.append((answer.status_code, answer.text[:200]))
            except requests.RequestException as error:
                watch.failures.append(error)
            watch.seconds.append(time.monotonic() - began)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        end.set()
        thread.join(40)


@contextlib.contextmanager
def following(service: Service, **query: str) -> Iterator[Callable[[], list[float]]]:
    """Follow a stream; what is yielded returns the seconds from storing to arrival of each message so far."""
    latencies: list[float] = []
    answer = requests.get(f"{service.url}/api/stream", params=query, stream=True, timeout=60)
    lines = answer.iter_lines()
    while not next(lines).startswith(b"event: ready"):
        pass

    def read() -> None:
        with contextlib.suppress(Exception):  # it is closed at the end
            for line in lines:
                if b'"stored_at"' in line:
                    stored = json.loads(line[6:])["stored_at"]
                    latencies.append(time.time() - time_of(stored))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield lambda: list(latencies)
    finally:
        answer.close()


def time_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def memory(service: Service) -> float:
    """Return the resident memory of a service with all its processes, in MiB."""
    process = psutil.Process(service.process.pid)
    processes = [process, *process.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in processes)) / 2**20

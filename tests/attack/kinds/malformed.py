"""Malformed HTTP requests on raw sockets: each is refused with one line, and none costs a traceback."""

import contextlib
import random
import socket
from concurrent.futures import ThreadPoolExecutor

from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.attacks import MALFORMED, connect, request

SEED = 7
INTACT = (
    request("GET", "/api/messages?q=x&limit=3"),
    request(
        "POST", "/api/messages", "Content-Type: application/json", "Content-Length: 13", body=b'{"text":"hi"}'
    ),
    request("DELETE", "/api/messages?q=nothing-like-this"),
    request("GET", "/api/stream", "Last-Event-ID: x"),
    request("PUT", "/api/faults", "Content-Type: application/json", "Content-Length: 10", body=b'{"fail":0}'),
)
BYTES = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b":",
    b"%",
    b"\xff",
    b"/../",
    b"%00",
    b"Transfer-Encoding: chunked\r\n",
)
ANSWER_SECONDS = 15.0


def attack(system: System, tally: Tally) -> None:
    """Send each known malformation, and thousands of mutations of intact requests."""
    known = [(f"malformed: {name}", text) for name, text in MALFORMED.items()]
    chance = random.Random(SEED)
    mutated = [("mutated requests", _mutate(chance)) for _ in range(system.size(2_000, 50))]
    viewer = system.viewer
    tracebacks = viewer.log().count("Traceback")

    def send(case: tuple[str, bytes]) -> tuple[str, int | None, bytes]:
        return case[0], _status_of(viewer.port, case[1]), case[1]

    with ThreadPoolExecutor(8) as pool:
        for kind, status, text in pool.map(send, [*known, *mutated]):
            tally.count_status(kind, status, example=text[:120])
            tally.require(not kind.startswith("malformed") or status != 200, f"{kind} was answered with 200")
    tracebacks = viewer.log().count("Traceback") - tracebacks
    tally.require(tracebacks == 0, f"malformed requests left {tracebacks} tracebacks in the log")


def _status_of(port: int, text: bytes) -> int | None:
    """Send these bytes and nothing more; return the status of the answer, None if there was none."""
    received = b""
    with contextlib.closing(connect(port, text)) as connection, contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(ANSWER_SECONDS)
        while b"\r\n" not in received and (part := connection.recv(4096)):
            received += part
    words = received.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _mutate(chance: random.Random) -> bytes:
    """Insert, remove or double bytes."""
    text = bytearray(chance.choice(INTACT))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text))
        match chance.randrange(3):
            case 0:
                text[place:place] = chance.choice(BYTES)
            case 1:
                del text[place : place + chance.randint(1, 8)]
            case _:
                text[place:place] = text[place : place + chance.randint(1, 40)]
    return bytes(text)

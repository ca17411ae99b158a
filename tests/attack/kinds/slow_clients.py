"""Slow and stalled clients: memory stays bounded, and nobody else waits."""

import time

from tests.attack.holding import holding
from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.attacks import dripping, fill, request, stalled_post, stream_request

STALLED_BYTES = 2 * 2**20 - 1_000
HELD_SECONDS = 8.0
MAX_CONNECTIONS = 100
FLOOD = 2_000


def attack(system: System, tally: Tally) -> None:
    """Hold uploads, exports and streams that do not move, and take all connections of a small viewer."""
    fill(system.store, system.size(4_000, 100), 20_000, at_once=50)
    viewer, seconds = system.viewer, max(1.0, HELD_SECONDS * system.share)
    uploads, exports = system.size(100, 10), system.size(30, 5)
    for kind, count, wire in (
        ("stalled posts of 2 MiB", uploads, stalled_post(size=STALLED_BYTES)),
        ("unread exports", exports, request("GET", "/api/messages.ndjson")),
        ("unread exports of CSV", exports, request("GET", "/api/messages.csv")),
        ("unread streams from the beginning", exports, stream_request(after="0")),
    ):
        with holding(viewer.port, [wire] * count) as outcomes:
            _wait(system, seconds)
        for outcome in outcomes:
            tally.count(kind, outcome)
    _drip(system, tally, seconds)
    _take_every_connection(system, tally, seconds)


def _wait(system: System, seconds: float) -> None:
    """Let the innocent go on meanwhile: messages come, and the watch asks for /health and the page."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        system.send([{"MessageBody": "meanwhile"}])
        time.sleep(0.5)


def _drip(system: System, tally: Tally, seconds: float) -> None:
    """Send requests a byte at a time."""
    count = system.size(100, 10)
    for kind, beginning, drop in (
        ("heads of a byte at a time", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x"),
        ("bodies of a byte at a time", stalled_post(size=STALLED_BYTES)[:400], b"x"),
    ):
        with dripping(system.viewer.port, count, beginning, drop):
            _wait(system, seconds)
        tally.count(kind, "closed", count)


def _take_every_connection(system: System, tally: Tally, seconds: float) -> None:
    """Post to /login, for which no token is needed, until no connection is left: /health still answers."""
    login = request(
        "POST", "/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000"
    )
    with (
        system.another(
            "viewer", "small viewer", VIEWER_TOKEN="x" * 32, MAX_CONNECTIONS=str(MAX_CONNECTIONS)
        ) as viewer,
        dripping(viewer.port, 2 * MAX_CONNECTIONS, login, b"x"),
    ):
        _wait(system, max(3.0, seconds))
        measures = system.watch.measures()["small viewer"]
    tally.count("connections held at /login", "closed", 2 * MAX_CONNECTIONS)
    tally.require(
        not measures.failed_health and measures.slowest_health < 1,
        f"with every connection taken, /health took {measures.slowest_health:.1f} s"
        f" and failed {measures.failed_health} times",
    )

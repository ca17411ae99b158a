"""Hostile searches: they cost only those who asked, and end on the server when their time is over."""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.attack.holding import holding
from tests.attack.hostile_messages import event
from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.attacks import (
    EXPENSIVE,
    dashes,
    expensive_search,
    fill,
    following,
    stream_request,
)

STREAMS = 60
PHRASES = 29
LARGE = 25
LARGE_BYTES = 175_000
MAX_LATENCY_SECONDS = 5.0  # of a message to an innocent reader
MAX_ANSWER_SECONDS = 15.0
# A query may run this long; the server must have ended it then.
MAX_QUERY_SECONDS = 12.0

RUNNING = """
    SELECT left(query, 200) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
      AND now() - query_start > make_interval(secs => %s)"""


def attack(system: System, tally: Tally) -> None:
    """Fill the store, follow expensive searches while large messages come, and search at once."""
    fill(system.store, system.size(23_000, 250), 4_700, at_once=250)
    _follow(system, tally)
    _search(system, tally)


def _follow(system: System, tally: Tally) -> None:
    """Open expensive streams, then send large messages: a reader without a search gets each in time."""
    viewer = system.viewer
    count = system.size(STREAMS, 10)
    # As many conditions as the attack was found with, and as many as are allowed by now.
    wires = [
        stream_request(q=expensive_search(number % 15, **phrases))
        for number in range(count)
        for phrases in ({"phrases": PHRASES}, {})
    ]
    with following(viewer) as arrived, holding(viewer.port, wires) as outcomes:
        large = [_large_message(number) for number in range(system.size(LARGE, 5))]
        began = time.monotonic()
        system.send([{"MessageBody": body} for body in large])
        while len(arrived()) < len(large) and time.monotonic() - began < 60:
            time.sleep(0.1)
        latencies = arrived()
    for outcome in outcomes:
        tally.count(f"streams of up to {PHRASES} negated phrases", outcome)
    tally.require(len(latencies) >= len(large), "an innocent stream missed messages under expensive streams")
    slowest = max(latencies, default=0.0)
    tally.require(
        slowest <= MAX_LATENCY_SECONDS,
        f"under {len(wires)} expensive streams a message took {slowest:.1f} s to an innocent reader",
    )


def _large_message(number: int) -> str:
    text = "".join(f"word{number}-{place}, " for place in range(LARGE_BYTES // 14))
    return json.dumps(event("/large", f"large-{number}-{time.time()}", {"text": text}))[:250_000]


def _search(system: System, tally: Tally) -> None:
    """Ask many expensive things at once: each is answered in time, and no query runs on."""
    searches = [*EXPENSIVE, *[expensive_search(number) for number in range(10)], f"-{dashes(200)}"]
    wanted = [q for q in searches for _ in range(system.size(6))]
    with ThreadPoolExecutor(10) as pool, requests.Session() as session:

        def ask(q: str) -> tuple[int | None, float]:
            began = time.monotonic()
            with contextlib.suppress(requests.RequestException):
                status = session.get(
                    f"{system.viewer.url}/api/messages", params={"q": q, "limit": "50"}, timeout=60
                ).status_code
                return status, time.monotonic() - began
            return None, time.monotonic() - began

        for q, (status, seconds) in zip(wanted, pool.map(ask, wanted), strict=True):
            tally.count_status("ten slow searches at once", status, q[:40])
            tally.require(seconds <= MAX_ANSWER_SECONDS, f"a search took {seconds:.1f} s: {q[:40]}")
    _leave(system)
    for query in _orphans(system):
        tally.require(False, f"a query runs on after its reader has left: {query}")


def _leave(system: System) -> None:
    """Send searches and hang up at once."""
    for q in (expensive_search(3), dashes()):
        with contextlib.suppress(requests.RequestException):
            requests.get(f"{system.viewer.url}/api/messages", params={"q": q}, timeout=0.3)


def _orphans(system: System) -> Iterator[str]:
    """Yield the queries that still run when none may."""
    time.sleep(min(MAX_QUERY_SECONDS, 2 + MAX_QUERY_SECONDS * system.share))
    for (query,) in system.rows(RUNNING, MAX_QUERY_SECONDS):
        yield query

"""What one client connects, sends and does not read costs no other client, and no probe."""

import contextlib
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
import requests

from local.emulators import aws_environment
from pipeline.health import CHECK_SECONDS, MAX_CONNECTIONS, Health
from tests.support.attacks import (
    MALFORMED,
    Watch,
    answer_to,
    connect,
    connections,
    dripping,
    fill,
    memory,
    request,
    stalled_post,
    stream_request,
    watching,
)
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service, Viewed
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.__main__ import HEAD_SECONDS
from viewer.api.export import MAX_EXPORTS_PER_CLIENT
from viewer.server.worker import MAX_LARGE_BODIES, MAX_WAITING

Start = Callable[..., Service]
SOON = 1.0  # seconds


@contextlib.contextmanager
def answered_soon(service: Service, path: str = "/health") -> Iterator[Watch]:
    with watching(service, path) as watch:
        yield watch
        wait_for(lambda: len(watch.seconds) >= 5)
    assert watch.failures == []
    assert watch.slowest < SOON


@pytest.fixture
def viewer(start: Start, store: Store) -> Service:
    """A viewer of its own with few connections."""
    environment = {"DATABASE_URL": store.url, **aws_environment(closed_port())}
    return start("viewer", environment, MAX_CONNECTIONS="20")


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_with_one_line_in_the_log(viewed: Viewed, name: str) -> None:
    before = len(viewed.viewer.log().splitlines())

    status, answer = answer_to(viewed.viewer.port, MALFORMED[name])

    assert status == 400
    assert b"application/problem+json" in answer

    def lines() -> list[str]:
        # The store was emptied before.
        return [line for line in viewed.viewer.log().splitlines()[before:] if "DELETE" not in line]

    wait_for(lines)
    assert len(lines()) == 1
    assert "Traceback" not in lines()[0]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (request("GET", "/" + "x" * 10_000), 414),
        (request("GET", f"/api/messages?q={'x' * 2_000}"), 400),
        (request("GET", "/health", "Cookie: " + "x" * 10_000), 431),
        (request("GET", "/health", *(f"X-{number}: x" for number in range(200))), 431),
        (request("GET", "/health", "Connection: Upgrade", "Upgrade: websocket"), 400),
        (request("OPTIONS", "/api/messages"), 200),
        (request("BREW", "/api/messages"), 405),
        (request("POST", "/api/messages", "Content-Length: 999999999999"), 415),
        (
            request("POST", "/api/messages", "Content-Type: application/json", "Content-Length: 99999999"),
            413,
        ),
        (request("GET", f"/api/messages/{10**30}"), 404),
        (request("GET", f"/api/messages?before={2**63 - 1}&after={2**63 - 1}"), 200),
    ],
)
def test_what_is_too_large_or_unusual_is_answered_as_what_it_is(
    viewed: Viewed, text: bytes, status: int
) -> None:
    assert answer_to(viewed.viewer.port, text)[0] == status


def test_health_is_answered_when_every_connection_is_taken(viewer: Service) -> None:
    with (
        connections(viewer.port, 30, stream_request()) as streams,
        connections(viewer.port, MAX_WAITING + 50),
        dripping(viewer.port, 20, b"GET /health HTTP/1.1\r\nX-A: ", b"a"),
        dripping(viewer.port, 20, request("POST", "/login", "Content-Length: 60000"), b"a"),
    ):
        refused = streams[-1].recv(65_536)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"Retry-After: 5" in refused
        with answered_soon(viewer), answered_soon(viewer, "/health?probe=readiness"):
            pass
    assert "Traceback" not in viewer.log()
    # They are gone, and others are served again.
    wait_for(lambda: viewer.get("/api/messages").status_code == 200)


def test_a_connection_without_a_whole_request_is_closed_after_a_while(viewer: Service) -> None:
    beginnings = (b"", b"GET / HT", request("GET", "/health")[:-2])
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(contextlib.closing(connect(viewer.port, beginning)))
            for beginning in beginnings
        ]
        for connection in opened:
            connection.settimeout(2 * HEAD_SECONDS)
            assert connection.recv(1) == b""


def test_large_requests_are_received_a_few_at_a_time(viewer: Service) -> None:
    before = memory(viewer)
    with connections(viewer.port, MAX_LARGE_BODIES, stalled_post()):

        def refusal() -> bytes:
            status, answer = answer_to(viewer.port, stalled_post()[:100_000])
            return answer if status == 503 else b""

        answer = wait_for(refusal)
        assert b"too many large requests" in answer
        assert b"Retry-After: 5" in answer
        # Small ones have room of their own; AWS is away.
        small = requests.post(f"{viewer.url}/api/messages", json={"text": "hi"}, timeout=30)
        assert "SNS" in small.json()["detail"]
        assert memory(viewer) - before < 40


def test_a_body_of_more_values_than_a_message_holds_is_refused_before_it_is_parsed(viewed: Viewed) -> None:
    lists = b'{"text":"x","lists":[' + b"[]," * 600_000 + b"[]]}"
    headers = {"Content-Type": "application/json"}

    began = time.monotonic()
    answers = [
        requests.post(f"{viewed.url}/api/messages", data=lists, headers=headers, timeout=30) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [413] * 3
    assert time.monotonic() - began < 3


def test_what_was_not_read_of_a_body_does_not_disturb_the_next_request(viewed: Viewed) -> None:
    large = request("POST", "/api/messages", "Content-Type: text/plain", "Content-Length: 100000")
    both = large + b"x" * 100_000 + request("GET", "/health", "Connection: close")

    with contextlib.closing(connect(viewed.viewer.port, both)) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 415")
    assert answer.endswith(b'{"status":"UP!"}')
    assert "Traceback" not in viewed.viewer.log()


def test_exports_that_nobody_reads_are_bounded_and_do_not_keep_their_place(
    viewer: Service, store: Store
) -> None:
    fill(store, 30, 170_000, at_once=10)
    before = memory(viewer)
    export = request("GET", "/api/messages.ndjson")
    with connections(viewer.port, MAX_EXPORTS_PER_CLIENT, export, receive_buffer=4096) as unread:
        for connection in unread:
            assert connection.recv(12) == b"HTTP/1.1 200"
        refused = viewer.get("/api/messages.csv")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
        assert memory(viewer) - before < 40
    wait_for(lambda: viewer.get("/api/messages.csv").status_code == 200)


def test_an_export_is_complete_whatever_it_is_read_in(viewed: Viewed) -> None:
    fill(viewed.store, 12, 100_000, at_once=6)
    fill(viewed.store, 1200, 200, at_once=200)

    lines = viewed.viewer.get("/api/messages.ndjson").text.splitlines()
    some = viewed.viewer.get("/api/messages.ndjson", params={"q": "larger:50k"}).text.splitlines()

    assert len(lines) == 1212
    assert len(some) == 12


def test_answers_that_nobody_reads_take_a_bounded_share_of_memory(viewer: Service, store: Store) -> None:
    fill(store, 1, 900_000, at_once=1)
    before = memory(viewer)

    with connections(viewer.port, 19, request("GET", "/api/messages/1"), receive_buffer=4096) as unread:
        statuses = [connection.recv(12) for connection in unread]
        assert statuses.count(b"HTTP/1.1 503") > 0
        assert memory(viewer) - before < 100
        assert viewer.get("/").status_code == 200
    wait_for(lambda: viewer.get("/api/messages/1").status_code == 200)


def test_lists_hold_only_the_beginning_of_a_very_long_identity(viewed: Viewed) -> None:
    long = "x" * 100_000
    viewed.store.add([arrival("hello", id=long, source=long, type=long) for _ in range(3)])

    [*_, listed] = viewed.viewer.get("/api/messages").json()["messages"]
    whole = viewed.viewer.get(f"/api/messages/{listed['seq']}").json()

    assert (listed["id"], listed["source"], listed["type"]) == (long[:1000],) * 3
    assert (whole["id"], whole["source"], whole["type"]) == (long,) * 3


# ---- the other services


def test_probes_of_a_producer_are_answered_while_many_idle_connections_are_held(start: Start) -> None:
    producer = start("producer", aws_environment(closed_port()), wait=False)
    wait_for(producer.answers)
    process = psutil.Process(producer.process.pid)

    with connections(producer.port, 600), answered_soon(producer):
        assert process.num_threads() < MAX_CONNECTIONS + 30

    wait_for(lambda: process.num_threads() < 30, 20)


def test_readiness_names_a_dependency_that_hangs_in_time_and_checks_it_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.health.CHECK_SECONDS", 0.2)
    checks: list[float] = []

    def hang() -> None:
        checks.append(time.monotonic())
        time.sleep(2)

    health = Health(60, {"database": hang, "aws": lambda: None})

    for _ in range(3):
        body, status = health.readiness()
        assert status == 503
        assert body["checks"] == {"database": "no answer within 0.2 s", "aws": "ok"}
    assert len(checks) == 1
    assert CHECK_SECONDS < 10  # the timeout of the probes in Kubernetes

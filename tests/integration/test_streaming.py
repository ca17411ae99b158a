"""The live stream: every message once, in order, to whoever follows."""

import contextlib
import http.client
import itertools
import json
import random
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from local.emulators import aws_environment
from pipeline.search.sql import EVERYTHING
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import QUEUE, Store
from tests.support.waiting import wait_for
from viewer.live.follower import MAX_BEHIND, NEWEST_AFTER_GAP
from viewer.live.hub import MAX_RECENT, Hub
from viewer.live.tail import Tail

OpenViewer = Callable[..., FlaskClient]


def open_stream(
    viewer: FlaskClient,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    heartbeats: bool = False,
) -> Iterator[str]:
    """Return the stream's events, as text; the first says that it is open.

    Heartbeats are left out unless asked for: a viewer that has just started may send one at any time.
    """
    answer = viewer.get(f"/api/stream{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = (event for chunk in answer.iter_encoded() for event in chunk.decode().split("\n\n")[:-1])
    return (event for event in events if heartbeats or not event.endswith(": heartbeat"))


def seq_of(event: str) -> int:
    lines = dict(line.split(": ", 1) for line in event.splitlines())
    assert json.loads(lines["data"])["seq"] == int(lines["id"])
    return int(lines["id"])


def test_a_stream_opens_at_once_and_brings_what_is_stored_from_then_on(
    open_viewer: OpenViewer, store: Store
) -> None:
    store.add([arrival("before")])
    events = open_stream(open_viewer(store))

    assert next(events) == 'retry: 1000\nevent: ready\ndata: {"after":1}'
    [seq] = store.add([arrival("after")])
    assert seq_of(next(events)) == seq


def test_a_stream_resumes_after_the_last_event_without_gap_or_repeat(
    open_viewer: OpenViewer, store: Store
) -> None:
    seqs = store.add([arrival(number) for number in range(MAX_RECENT + 10)])
    viewer = open_viewer(store)

    # Further back than the tail remembers, and then on into what arrives live.
    events = open_stream(viewer, "?after=7", {"Last-Event-ID": str(seqs[2])})
    next(events)
    received = [seq_of(next(events)) for _ in seqs[3:]]
    received += [seq_of(next(events)) for _ in store.add([arrival("live")])]

    assert received == [*seqs[3:], received[-1]]


@pytest.mark.parametrize("by_another", [False, True], ids=["by this viewer", "by another"])
def test_what_was_deleted_does_not_come_back_on_a_stream(
    open_viewer: OpenViewer, store: Store, by_another: bool
) -> None:
    viewer = open_viewer(store)
    events = open_stream(viewer)
    next(events)
    [place] = store.add([arrival("first")])
    next(events)
    store.add([arrival("deleted")])
    next(events)  # so the viewer remembers it

    (open_viewer(store) if by_another else viewer).delete("/api/messages?all=1")
    [new] = store.add([arrival("new")])

    def first_after(place: object) -> int:
        events = open_stream(viewer, f"?after={place}")
        next(events)
        return seq_of(next(events))

    wait_for(lambda: first_after(place) == new)


def test_each_of_many_searches_is_followed_from_before_and_on(open_viewer: OpenViewer, store: Store) -> None:
    expected = store.add([arrival({"n": number % 10}) for number in range(30)])
    viewer = open_viewer(store)
    streams = [open_stream(viewer, f"?q=n:{number}&after={expected[9]}") for number in range(10)]
    streams += [open_stream(viewer, f"?q=-n:{number}&after={expected[29]}") for number in range(10)]
    for events in streams:
        next(events)
    received = [[seq_of(next(events)) for _ in range(2)] for events in streams[:10]]

    expected += store.add([arrival({"n": number % 10}) for number in range(10)])

    for events, seqs in zip(streams[:10], received, strict=True):
        seqs.append(seq_of(next(events)))
    assert received == [expected[10 + number :: 10] for number in range(10)]
    for number, events in enumerate(streams[10:]):
        others = [seq for seq in expected[30:] if seq != expected[30 + number]]
        assert [seq_of(next(events)) for _ in range(9)] == others


def test_a_reader_who_asked_for_gaps_is_told_what_was_passed_over(
    open_viewer: OpenViewer, store: Store
) -> None:
    seqs = store.add([arrival(number) for number in range(MAX_BEHIND + 100)])

    events = open_stream(open_viewer(store), f"?after={seqs[1]}&gaps=1")
    next(events)
    gap = next(events)
    received = [seq_of(next(events)) for _ in range(NEWEST_AFTER_GAP)]

    assert received == seqs[-NEWEST_AFTER_GAP:]
    first, last = seqs[2], received[0] - 1
    assert gap.splitlines()[:2] == [f"id: {last}", "event: gap"]
    assert f'{{"from":{first},"to":{last},"count":{MAX_BEHIND + 98 - NEWEST_AFTER_GAP}}}' in gap


def test_of_many_messages_none_is_missed(open_viewer: OpenViewer, store: Store) -> None:
    answer = open_viewer(store).get("/api/stream")
    writes = answer.iter_encoded()
    next(writes)
    expected = [seq for number in range(60) for seq in store.add([arrival(number)])]

    received: list[list[int]] = []
    while sum(map(len, received)) < len(expected):
        received.append([seq_of(event) for event in next(writes).decode().split("\n\n")[:-1]])

    assert [seq for write in received for seq in write] == expected


def test_what_is_stored_is_announced_and_not_only_found_when_the_tail_looks_by_itself(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.live.tail.TURN_SECONDS", 60)
    events = open_stream(open_viewer(store))
    next(events)
    with ThreadPoolExecutor(1) as pool:
        for number in range(3):
            [seq] = store.add([arrival(number)])
            assert seq_of(pool.submit(next, events).result(timeout=20)) == seq


def test_an_idle_stream_shows_that_it_lives(open_viewer: OpenViewer, store: Store) -> None:
    events = open_stream(open_viewer(store, heartbeat_seconds=0.05), heartbeats=True)
    next(events)

    assert [next(events), next(events)] == ["id: 0\n: heartbeat"] * 2


@pytest.mark.parametrize(
    ("query", "header", "name"),
    [("?after=x", None, "after"), ("?sauce=1", None, "sauce"), ("", "x", "Last-Event-ID")],
)
def test_a_wrong_place_is_refused_by_its_name(
    open_viewer: OpenViewer, store: Store, query: str, header: str | None, name: str
) -> None:
    headers = {"Last-Event-ID": header} if header else {}
    answer = open_viewer(store).get(f"/api/stream{query}", headers=headers)

    assert answer.status_code == 400
    assert answer.json["parameter"] == name  # type: ignore[index]


def test_no_message_is_missed_or_doubled_while_several_consumers_commit_at_once(store: Store) -> None:
    stop = threading.Event()
    hub = Hub(store, stop)
    tail = Tail(store.database, store, hub, stop=stop, beat=lambda: None, queue_name=QUEUE)
    follower = threading.Thread(target=tail.run)
    follower.start()
    expected: list[Any] = []

    def write(writer: random.Random) -> None:
        for _ in range(30):
            expected.extend(store.add([arrival() for _ in range(writer.randint(1, 10))]))

    writers = [threading.Thread(target=write, args=[random.Random(seed)]) for seed in range(5)]
    for thread in writers:
        thread.start()
    received: list[int] = []
    deadline = time.monotonic() + 30
    place = 0
    with hub.following(EVERYTHING) as following:
        while any(thread.is_alive() for thread in writers) or len(received) < len(expected):
            assert time.monotonic() < deadline
            following.wait(place, 0.2)
            messages, place = following.after(place)
            received += [message.seq for message in messages]
    tail.stop()
    follower.join()

    assert received == sorted(seq for seq in expected if seq is not None)


def test_the_page_tells_at_once_that_the_database_is_away_and_that_it_is_back(
    open_viewer: OpenViewer, database_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.connection.CONNECT_TIMEOUT_SECONDS", 1)
    store = Store(database_url)
    viewer = open_viewer(store)
    wait_for(lambda: viewer.get("/").status_code == 200)
    name = database_url.rpartition("/test_")[2].partition("?")[0]
    lend = store.database.connection
    lent: list[object] = []

    def note_and_lend(**options: bool) -> object:
        lent.append(options)
        return lend(**options)

    monkeypatch.setattr(store.database, "connection", note_and_lend)

    def says_so_without_asking_again() -> bool:
        lent.clear()
        return viewer.get("/").status_code == 503 and not lent

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE test_{name} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [f"test_{name}"]
        )
        wait_for(says_so_without_asking_again, 20)
        connection.execute(f"ALTER DATABASE test_{name} ALLOW_CONNECTIONS true".encode())

    wait_for(lambda: viewer.get("/").status_code == 200, 20)
    store.close()


def test_open_streams_come_to_their_end_when_the_viewer_stops(
    start: Callable[..., Service], database_url: str
) -> None:
    viewer = start("viewer", {"DATABASE_URL": database_url, **aws_environment(closed_port())})
    streams = [viewer.get("/api/stream", stream=True) for _ in range(20)]
    lines = [stream.iter_lines() for stream in streams]
    for line in lines:
        assert next(line).startswith(b"retry:")

    viewer.process.ask_to_stop()
    for line in lines:
        # A stream that is still open when the time to stop is over is cut off, which raises an error here.
        assert not any(text.startswith(b"id:") for text in line)
    assert viewer.process.wait(10) == 0


class Balancer(socketserver.ThreadingTCPServer):
    """One address for several viewers: each connection goes to the next, and is cut off at random."""

    daemon_threads = True

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(("127.0.0.1", 0), self.Connection)
        self.ports = itertools.cycle(ports)
        self.port = int(self.server_address[1])
        self.cut = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            assert isinstance(self.server, Balancer)
            with socket.create_connection(("127.0.0.1", next(self.server.ports))) as viewer:
                viewer.sendall(self.request.recv(65536))
                while data := viewer.recv(4096):
                    if random.random() < 0.05:
                        self.server.cut += 1
                        self.request.sendall(data[: len(data) // 2])
                        return
                    self.request.sendall(data)


def follow(port: int, count: int) -> list[int]:
    """Return so many seqs, or fewer after a while, as a browser receives them: events count once complete."""
    received: list[int] = []
    place = "0"
    deadline = time.monotonic() + 40
    while len(received) < count and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(http.client.HTTPException, TimeoutError):
            connection.request("GET", "/api/stream", headers={"Last-Event-ID": place})
            answer = connection.getresponse()
            event: dict[str, str] = {}
            while len(received) < count and time.monotonic() < deadline and (line := answer.readline()):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                event[name] = value
                if not name:
                    place = event.get("id", place)
                    if event.get("event") == "message":
                        received.append(json.loads(event["data"])["seq"])
                    event = {}
    return received


def test_no_message_is_missed_or_doubled_on_streams_that_move_between_two_viewers_while_five_consumers_commit(
    start: Callable[..., Service], database_url: str, store: Store
) -> None:
    environment = {"DATABASE_URL": database_url, **aws_environment(closed_port())}
    viewers = [start("viewer", environment, wait=False) for _ in range(2)]
    for viewer in viewers:
        viewer.process.wait_until(viewer.is_ready, 30)

    def consume(_: int) -> list[Any]:
        return [seq for _ in range(50) for seq in store.add([arrival() for _ in range(4)])]

    with Balancer([viewer.port for viewer in viewers]) as balancer, ThreadPoolExecutor(11) as pool:
        readers = [pool.submit(follow, balancer.port, 1000) for _ in range(6)]
        expected = sorted(seq for seqs in pool.map(consume, range(5)) for seq in seqs)

        assert len(expected) == 1000
        for reader in readers:
            assert reader.result() == expected
        assert balancer.cut > 10
        balancer.shutdown()

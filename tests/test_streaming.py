"""The live stream: every message once, in order, to whoever follows."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from local.emulators import aws_environment
from pipeline.store import Store
from tests.conftest import Service, free_port
from tests.examples import arrival
from viewer.stream import MOST_BEHIND, NEWEST_AFTER_GAP
from viewer.tail import KEPT, Tail

OpenViewer = Callable[..., FlaskClient]


def open_stream(viewer: FlaskClient, query: str = "", **headers: str) -> Iterator[str]:
    """Return the stream's events, as text; the first says that it is open."""
    answer = viewer.get(f"/api/stream{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    return (event for chunk in answer.iter_encoded() for event in chunk.decode().split("\n\n")[:-1])


def seq_of(event: str) -> int:
    lines = dict(line.split(": ", 1) for line in event.splitlines())
    assert json.loads(lines["data"])["seq"] == int(lines["id"])
    return int(lines["id"])


def test_a_stream_opens_at_once_and_brings_what_is_stored_from_then_on(
    open_viewer: OpenViewer, store: Store
) -> None:
    store.add([arrival("before")])
    events = open_stream(open_viewer(store))

    assert next(events) == 'retry: 1000\nevent: ready\ndata: {"after": 1}'
    [seq] = store.add([arrival("after")])
    assert seq_of(next(events)) == seq


def test_a_stream_resumes_after_the_last_event_without_gap_or_repeat(
    open_viewer: OpenViewer, store: Store
) -> None:
    seqs = store.add([arrival(number) for number in range(KEPT + 10)])
    viewer = open_viewer(store)

    # Further back than the tail remembers, and then on into what arrives live.
    events = open_stream(viewer, "?after=7", **{"Last-Event-ID": str(seqs[2])})
    next(events)
    received = [seq_of(next(events)) for _ in seqs[3:]]
    received += [seq_of(next(events)) for _ in store.add([arrival("live")])]

    assert received == [*seqs[3:], received[-1]]


def test_what_was_deleted_does_not_come_back_on_a_stream(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)
    events = open_stream(viewer)
    next(events)
    store.add([arrival("deleted")])
    next(events)

    viewer.delete("/api/messages?all=1")
    events = open_stream(viewer, "?after=0")
    next(events)
    [seq] = store.add([arrival("new")])

    assert seq_of(next(events)) == seq


def test_a_reader_who_asked_for_gaps_is_told_what_was_passed_over(
    open_viewer: OpenViewer, store: Store
) -> None:
    seqs = store.add([arrival(number) for number in range(MOST_BEHIND + 100)])

    events = open_stream(open_viewer(store), f"?after={seqs[1]}&gaps=1")
    next(events)
    gap = next(events)
    received = [seq_of(next(events)) for _ in range(NEWEST_AFTER_GAP)]

    assert received == seqs[-NEWEST_AFTER_GAP:]
    first, last = seqs[2], received[0] - 1
    assert gap.splitlines()[:2] == [f"id: {last}", "event: gap"]
    assert f'{{"from": {first}, "to": {last}, "count": {MOST_BEHIND + 98 - NEWEST_AFTER_GAP}}}' in gap


def test_many_messages_come_in_few_writes_and_none_is_missed(open_viewer: OpenViewer, store: Store) -> None:
    answer = open_viewer(store).get("/api/stream")
    writes = answer.iter_encoded()
    next(writes)
    expected = [seq for number in range(60) for seq in store.add([arrival(number)])]

    received: list[list[int]] = []
    while sum(map(len, received)) < len(expected):
        received.append([seq_of(event) for event in next(writes).decode().split("\n\n")[:-1]])

    assert [seq for write in received for seq in write] == expected
    assert len(received) < 40


def test_an_idle_stream_shows_that_it_lives(open_viewer: OpenViewer, store: Store) -> None:
    events = open_stream(open_viewer(store, heartbeat_seconds=0.05))
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
    tail = Tail(store, threading.Event(), beat=lambda: None)
    follower = threading.Thread(target=tail.run)
    follower.start()
    expected: list[int | None] = []

    def write(writer: random.Random) -> None:
        for _ in range(30):
            expected.extend(store.add([arrival() for _ in range(writer.randint(1, 10))]))

    writers = [threading.Thread(target=write, args=[random.Random(seed)]) for seed in range(5)]
    for thread in writers:
        thread.start()
    received: list[int] = []
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in writers) or len(received) < len(expected):
        assert time.monotonic() < deadline
        received += [message.seq for message in tail.after(received[-1] if received else 0, 0.2)]
    tail.stop()
    follower.join()

    assert received == sorted(seq for seq in expected if seq is not None)


def test_open_streams_end_at_once_when_the_viewer_stops(
    start: Callable[..., Service], database_url: str
) -> None:
    viewer = start("viewer", {"DATABASE_URL": database_url, **aws_environment(free_port())})
    streams = [viewer.get("/api/stream", stream=True) for _ in range(20)]
    lines = [stream.iter_lines() for stream in streams]
    for line in lines:
        assert next(line).startswith(b"retry:")

    began = time.monotonic()
    viewer.process.ask_to_stop()
    for line in lines:
        assert not any(text.startswith(b"id:") for text in line)
    assert time.monotonic() - began < 1
    assert viewer.process.wait(4) == 0

"""A primary that dies under load, its standby promoted: nothing is lost, doubled or skipped."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import requests

from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.failover import Pair
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "400"))
PATIENCE_SECONDS = 60 + MESSAGES / 20
# What a cluster takes to find out that its primary is gone.
NOTICE_SECONDS = 2
MAX_GAP_SECONDS = 10


@dataclass
class StreamReader:
    """Follows the stream from the beginning as a browser does: it reconnects with `Last-Event-ID`."""

    viewer: Service
    came: list[tuple[float, int, str]] = field(default_factory=list)  # when, seq, id
    connections: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.1):
            try:
                self._read()
            except requests.RequestException:
                continue

    def _read(self) -> None:
        after = str(self.came[-1][1] if self.came else 0)
        with self.viewer.get("/api/stream", headers={"Last-Event-ID": after}, stream=True) as answer:
            answer.raise_for_status()
            self.connections += 1
            event = ""
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"event: "):
                    event = line[7:].decode()
                elif line.startswith(b"data: ") and event == "message":
                    message = json.loads(line[6:])
                    self.came.append((time.monotonic(), message["seq"], message["id"]))
                if self.stop.is_set():
                    return

    @property
    def ids(self) -> list[str]:
        return [one for _, _, one in self.came]


@pytest.fixture
def follow() -> Iterator[Callable[[Service], StreamReader]]:
    """Follow the stream of a viewer from a thread of its own."""
    readers = []

    def follow(viewer: Service) -> StreamReader:
        readers.append(reader := StreamReader(viewer))
        threading.Thread(target=reader.run, daemon=True).start()
        return reader

    yield follow
    for reader in readers:
        reader.stop.set()


def announced(producer: Service) -> set[str]:
    lines = (json.loads(line) for line in producer.log().splitlines() if line.endswith("}"))
    return {line["message_id"] for line in lines if line["message"] == "published"}


def test_a_primary_that_is_killed_under_load_loses_and_doubles_nothing_and_streams_go_on(
    ministack: Names, pair: Pair, start: Callable[..., Service], follow: Callable[[Service], StreamReader]
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": pair.url}
    consumers = [start("consumer", environment, wait=False) for _ in range(2)]
    viewer = start("viewer", environment)
    reader = follow(viewer)
    producer = start("producer", environment, RATE_PER_SECOND="200")
    wait_for(lambda: len(reader.came) > MESSAGES / 4, seconds=PATIENCE_SECONDS)

    began = time.monotonic()
    pair.primary.kill()
    threading.Event().wait(NOTICE_SECONDS)
    seen_before = len(reader.came)
    pair.standby.promote()
    promoted = time.monotonic()
    [(stored_before,)] = pair.standby.execute("SELECT max(seq) FROM fanout_store.messages")
    wait_for(
        lambda: pair.standby.execute("SELECT max(seq) FROM fanout_store.messages") > [(stored_before,)],
        seconds=MAX_GAP_SECONDS - (time.monotonic() - began),
        what="a message stored by the new primary",
    )
    stored_after = time.monotonic() - began
    wait_for(
        lambda: len(reader.came) > seen_before and reader.came[-1][1] > stored_before,
        seconds=MAX_GAP_SECONDS - (time.monotonic() - began),
        what="a message of the new primary seen",
    )
    seen_after = next(at for at, seq, _ in reader.came if seq > stored_before) - began
    print(
        f"killed, promoted after {promoted - began:.1f} s, stored {stored_after:.1f}, seen {seen_after:.1f} s"
    )

    wait_for(lambda: len(announced(producer)) >= MESSAGES, seconds=PATIENCE_SECONDS)
    producer.process.ask_to_stop()
    producer.process.wait(10)
    ids = announced(producer)
    wait_for(lambda: ids <= set(reader.ids), seconds=PATIENCE_SECONDS, what="all seen")
    store = Store(pair.url)
    counter = TestConsumer(ministack, store)
    wait_for(lambda: counter.left_in_queue() == 0, seconds=60, what="an empty queue")
    with store.connection() as connection:
        stored = connection.execute("SELECT seq, id FROM messages ORDER BY seq").fetchall()
        tries = connection.execute("SELECT max(receive_count) FROM messages").fetchone()
    store.close()
    assert sorted(one for _, one in stored) == sorted(ids)
    assert [(seq, one) for _, seq, one in reader.came] == stored
    assert counter.dead() == 0
    assert tries == (1,)
    for service in (*consumers, viewer):
        assert service.process.exit_status is None
        assert service.is_ready()

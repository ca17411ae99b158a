"""Tests that hurt a FIFO queue: whatever is killed or broken, its groups end complete, and in order.

`make chaos` runs them at full size.
"""

import itertools
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.aws import Topic, sns_client
from pipeline.message import Message, new_message
from tests.support.chaos import MESSAGES, PATIENCE_SECONDS, announced, publish_all, stored_ids
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.faulty_proxy import FaultyProxy
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

GROUPS = 16
VISIBILITY_SECONDS = 3
KILLS = 12 if MESSAGES >= 10_000 else 4


@pytest.fixture(params=["ministack", "localstack"] if MESSAGES >= 10_000 else ["ministack"])
def emulator(request: pytest.FixtureRequest) -> str:
    """Each emulator in turn; at a small size only the quick one."""
    return str(request.param)


@pytest.fixture
def proxy(emulator: str, request: pytest.FixtureRequest) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(request.getfixturevalue(f"{emulator}_port"), share=0.1)
    yield proxy
    proxy.close()


@pytest.fixture
def fifo(emulator: str, create: Callable[..., Names]) -> Names:
    # Being killed costs a try, so there must be enough of them.
    return create(emulator, ".fifo", MAX_RECEIVE_COUNT="1000")


def stored_by_group(store: Store) -> dict[str, list[int]]:
    """Return the numbers of the messages of each group, in the order in which they are stored."""
    found = defaultdict(list)
    with store.connection() as connection:
        for group, number in connection.execute("SELECT group_id, sequence FROM messages ORDER BY seq"):
            found[group].append(number)
    return found


def handled_by_group(file: Path) -> dict[str, list[int]]:
    """Return the numbers of the messages of each group, in the order in which a handler took them."""
    found = defaultdict(list)
    for line in file.read_text().splitlines():
        group, number = line.rsplit(" ", 1)
        found[group].append(int(number))
    return found


def assert_none_is_overtaken(numbers: list[int], step: int) -> None:
    """A message may come again, since its consumer was killed, but none comes before the one in front."""
    highest = numbers[0]
    for before, number in itertools.pairwise(numbers):
        assert number <= highest + step, f"{number} after {before}, but {highest + step} was not handled yet"
        highest = max(highest, number)


def end(consumer: Service, number: int) -> None:
    """Stop a consumer, kill it, or freeze it until others have what it holds, in turn."""
    if number % 3 == 2:
        consumer.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(VISIBILITY_SECONDS + 1)
        consumer.process.send_signal(signal.SIGCONT)
    consumer.process.send_signal(signal.SIGKILL if number % 3 == 1 else signal.SIGTERM)
    consumer.process.wait(10)


def test_kills_faults_and_failures_leave_every_group_complete_and_in_order(
    fifo: Names,
    proxy: FaultyProxy,
    store: Store,
    start: Callable[..., Service],
    tmp_path: Path,
) -> None:
    environment = {
        **fifo.environment,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
        "DATABASE_URL": store.url,
        "VISIBILITY_TIMEOUT_SECONDS": str(VISIBILITY_SECONDS),
        "HANDLER": "tests.support.handlers:stumble,tests.support.handlers:record,store",
        "RECORD": str(tmp_path / "record"),
        "RETRY_SECONDS": "1",
    }
    (tmp_path / "record").touch()
    start("consumer", environment, wait=False)
    producer = start("producer", environment, wait=False, RATE_PER_SECOND="200", MESSAGE_GROUPS=str(GROUPS))
    killed = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while killed < KILLS or len(announced(producer)) < MESSAGES:
        assert time.monotonic() < deadline, f"{len(announced(producer))} announced"
        consumer = start("consumer", environment, wait=False)
        threading.Event().wait(random.uniform(1.5, 4))
        end(consumer, killed)
        killed += 1
    producer.process.ask_to_stop()
    producer.process.wait(10)

    counter = TestConsumer(fifo, store)
    wait_for(lambda: counter.left_in_queue() == 0, seconds=PATIENCE_SECONDS, what="an empty queue")

    ids = stored_ids(store)
    assert announced(producer) <= set(ids)
    assert len(ids) == len(set(ids))
    assert counter.dead() == 0
    groups = stored_by_group(store)
    assert len(groups) == GROUPS
    for numbers in groups.values():
        assert numbers == list(range(numbers[0], numbers[0] + GROUPS * len(numbers), GROUPS))
    assert sorted(numbers[0] for numbers in groups.values()) == list(range(1, GROUPS + 1))
    for numbers in handled_by_group(tmp_path / "record").values():
        assert numbers[0] <= GROUPS
        assert_none_is_overtaken(numbers, GROUPS)
    assert set(proxy.faults) >= {"answer_500", "throttle", "cut_before", "cut_after"}


def in_groups(count: int, poison: set[int]) -> list[Message]:
    """Return numbered messages; those with a number of `poison` are poison."""
    return [
        new_message(
            "/chaos",
            "chaos",
            {"text": f"{'poison' if number in poison else 'good'} {number}", "sequence": number},
            subject=str(number % GROUPS),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("emulator", ["ministack", "localstack"])
def test_poison_in_a_group_dies_alone_and_comes_back_behind_it(
    emulator: str,
    create: Callable[..., Names],
    store: Store,
    start: Callable[..., Service],
    tmp_path: Path,
) -> None:
    count = min(MESSAGES, 2000)
    poison = set(random.sample(range(count), max(5, count // 50)))
    names = create(emulator, ".fifo", MAX_RECEIVE_COUNT="3")
    mended = tmp_path / "mended"
    for _ in range(2):
        start(
            "consumer",
            {**names.environment, "DATABASE_URL": store.url, "MENDED": str(mended)},
            HANDLER="tests.support.handlers:refuse_poison,store",
            RETRY_SECONDS="1",
        )
    # One after the other, as one that keeps the order publishes them.
    published = in_groups(count, poison)
    topic = Topic(sns_client(), names.topic)
    for batch in (published[first : first + 10] for first in range(0, count, 10)):
        publish_all(topic, batch)
    counter = TestConsumer(names, store)

    wait_for(lambda: counter.dead() == len(poison), seconds=PATIENCE_SECONDS, what="the bad dead")
    wait_for(lambda: len(stored_ids(store)) == count - len(poison), seconds=PATIENCE_SECONDS, what="the good")
    assert {letter.id for letter in counter.failures.dead_letters(1000)} == {
        published[number].id for number in poison
    }
    mended.touch()
    counter.dead_letters.redrive()

    wait_for(lambda: len(stored_ids(store)) == count, seconds=60, what="the redriven stored")
    for group, numbers in stored_by_group(store).items():
        of_group = range(int(group), count, GROUPS)
        good = [number for number in of_group if number not in poison]
        assert numbers[: len(good)] == good
        assert set(numbers[len(good) :]) == poison & set(of_group)
    wait_for(lambda: counter.left_in_queue() + counter.dead() == 0, seconds=30, what="empty queues")
    assert counter.failures.dead_letters() == []

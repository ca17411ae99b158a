"""On a FIFO queue the order holds within each message group, and groups are handled side by side."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from consumer.handler import Failures, Handler
from consumer.order import MAX_WAITING_GROUPS, GroupOrder
from pipeline.aws import Topic, sns_client
from pipeline.envelope import Publication
from pipeline.message import Delivery, new_message
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.examples import raw_arrival
from tests.support.stores import Store
from tests.support.waiting import wait_for

MAX_RECEIVE_COUNT = 3


@pytest.fixture
def fifo(emulator: str, create: Callable[..., Names]) -> Names:
    """A FIFO topic and a FIFO queue, on each emulator in turn."""
    return create(emulator, ".fifo", MAX_RECEIVE_COUNT=str(MAX_RECEIVE_COUNT))


def publish(names: Names, *texts: str) -> None:
    """Publish these; the first letter of each is its group."""
    topic = Topic(sns_client(), names.topic)
    for text in texts:
        message = new_message("/tests", "test", {"text": text}, subject=text[0])
        assert topic.publish([message]) == []


class Recorder:
    """A handler that keeps what it was called with, and fails where it is told to."""

    def __init__(self, *refused: str, times: int = 1_000) -> None:
        self.calls: list[list[str]] = []
        self.refused, self._left = set(refused), times

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        texts = [delivery.message.preview for delivery in deliveries]
        self.calls.append(texts)
        return {place: self._failure(text) for place, text in enumerate(texts) if self._fails(text)}

    def _fails(self, text: str) -> bool:
        fails = text in self.refused and self._left > 0
        self._left -= fails
        return fails

    def _failure(self, text: str) -> Exception:
        return ValueError(f"{text} is refused")

    def of_group(self, group: str) -> list[str]:
        return [text for call in self.calls for text in call if text[0] == group]


def consumer_of(names: Names, store: Store, *handlers: Handler, **options: Any) -> TestConsumer:
    """Return a consumer that has gone without trouble for a while, and so receives ten at a time."""
    consumer = TestConsumer(names, store, *handlers, **options)
    while consumer.context.order.batch_size(0) < 10:
        consumer.context.order.settle([], {})
    return consumer


def previews(deliveries: Sequence[Delivery]) -> list[str]:
    return sorted(delivery.message.preview for delivery in deliveries)


def test_no_call_of_a_handler_has_two_of_a_group(fifo: Names, store: Store) -> None:
    recorder = Recorder()
    publish(fifo, "a1", "a2", "b1", "a3", "b2", "c1")
    wait_for(lambda: TestConsumer(fifo, store).left_in_queue() == 6)

    consumer_of(fifo, store, recorder).take(6)

    assert all(len({text[0] for text in call}) == len(call) for call in recorder.calls)
    assert [recorder.of_group(group) for group in "abc"] == [["a1", "a2", "a3"], ["b1", "b2"], ["c1"]]
    assert len(recorder.calls) == 3


def test_after_a_failure_the_later_ones_of_its_group_are_handed_back_and_others_go_on(
    fifo: Names, store: Store
) -> None:
    recorder = Recorder("a1", times=1)
    publish(fifo, "a1", "a2", "a3", "b1", "b2")
    wait_for(lambda: TestConsumer(fifo, store).left_in_queue() == 5)
    consumer = consumer_of(fifo, store, recorder, retry_seconds=2)

    outcome = consumer.take(5)

    assert previews([failed.delivery for failed in outcome.failed]) == ["a1"]
    assert previews(outcome.untouched) == ["a2", "a3"]
    assert previews(outcome.done) == ["b1", "b2"]
    assert recorder.of_group("a") == ["a1"]
    again = consumer.take(3)
    assert previews(again.done) == ["a1", "a2", "a3"]
    assert recorder.of_group("a") == ["a1", "a1", "a2", "a3"]


def test_a_message_that_dies_takes_none_of_its_group_with_it(fifo: Names, store: Store) -> None:
    """Though they were received as often, they die only of failures of their own."""
    recorder = Recorder("a1")
    publish(fifo, *(f"a{number}" for number in range(1, 7)))
    wait_for(lambda: TestConsumer(fifo, store).left_in_queue() == 6)

    def take_all() -> bool:
        # What a consumer does that knows nothing of the trouble, as one that started just now.
        consumer_of(fifo, store, recorder, retry_seconds=0).poller.poll_once()
        return TestConsumer(fifo, store).left_in_queue() == 0

    wait_for(take_all, seconds=30)

    assert recorder.of_group("a") == ["a1", "a1", "a1", "a2", "a3", "a4", "a5", "a6"]
    assert TestConsumer(fifo, store).dead() == 1


def test_messages_behind_one_that_is_retried_are_received_with_it_only_once(
    fifo: Names, store: Store
) -> None:
    """A receipt counts as a try, so what comes with a retry would be left with fewer of its own."""
    counts: dict[str, int] = {}

    def count(deliveries: Sequence[Delivery]) -> None:
        counts.update((one.message.preview, one.receive_count) for one in deliveries)

    publish(fifo, "a1", "a2", "a3", "a4")
    wait_for(lambda: TestConsumer(fifo, store).left_in_queue() == 4)
    consumer = consumer_of(fifo, store, Recorder("a1", times=2), count, retry_seconds=1)

    wait_for(lambda: (consumer.poller.poll_once(), len(counts) == 4)[1], seconds=30)

    assert counts == {"a1": 3, "a2": 2, "a3": 2, "a4": 2}


def test_the_batch_grows_from_the_start_and_shrinks_when_messages_come_again(
    create: Callable[..., Names], store: Store
) -> None:
    """So a message that kills its consumer takes no others with it."""
    names = create("ministack", ".fifo")
    publish(names, *(f"{group}1" for group in "abcdefghijklmnopq"))
    consumer = TestConsumer(names, store)

    assert [len(consumer.poller.poll_once().done) for _ in range(5)] == [1, 2, 4, 8, 2]

    publish(names, *(f"{group}2" for group in "abcd"))
    killed = consumer_of(names, store, visibility_timeout_seconds=1)
    assert len(killed.queue.receive(1)) == 4
    assert len(consumer.take(1).done) == 4
    assert consumer.context.order.batch_size(0) == 1


def test_a_stopping_consumer_hands_a_group_back_in_order(fifo: Names, store: Store) -> None:
    publish(fifo, "a1", "a2", "a3", "a4")
    wait_for(lambda: TestConsumer(fifo, store).left_in_queue() == 4)
    recorder = Recorder()
    stopping = consumer_of(fifo, store, recorder, lambda _: stopping.stop.set())

    outcome = stopping.take(4)

    assert previews(outcome.done) == ["a1"]
    assert previews(outcome.untouched) == ["a2", "a3", "a4"]
    consumer_of(fifo, store, recorder).take(3)
    assert recorder.of_group("a") == ["a1", "a2", "a3", "a4"]


def test_a_stopping_consumer_handles_what_would_die_of_being_handed_back(
    create: Callable[..., Names], emulator: str, store: Store
) -> None:
    names = create(emulator, ".fifo", MAX_RECEIVE_COUNT="1")
    publish(names, "a1", "a2", "a3", "b1")
    wait_for(lambda: TestConsumer(names, store).left_in_queue() == 4)
    recorder = Recorder("a2")
    stopping = consumer_of(names, store, recorder, lambda _: stopping.stop.set())

    outcome = stopping.take(4)

    assert previews(outcome.done) == ["a1", "a3", "b1"]
    assert previews([failed.delivery for failed in outcome.failed]) == ["a2"]
    assert recorder.of_group("a") == ["a1", "a2", "a3"]
    wait_for(lambda: TestConsumer(names, store).poller.poll_once() and TestConsumer(names, store).dead() == 1)


def test_a_group_waits_for_its_back_off_and_others_are_handled_meanwhile(
    create: Callable[..., Names], store: Store
) -> None:
    """On MiniStack: LocalStack shows no message again before those that were received earlier."""
    names = create("ministack", ".fifo")
    recorder = Recorder("a1", times=1)
    publish(names, "a1", "a2", "b1")
    consumer = consumer_of(names, store, recorder, retry_seconds=3)

    consumer.take(3)
    publish(names, "a3", "b2")
    assert previews(consumer.take(1).done) == ["b2"]

    wait_for(lambda: (consumer.poller.poll_once(), consumer.left_in_queue() == 0)[1], seconds=20)
    assert recorder.of_group("a") == ["a1", "a1", "a2", "a3"]


def test_groups_without_end_that_fail_take_no_memory_without_end() -> None:
    order = GroupOrder()

    for number in range(3 * MAX_WAITING_GROUPS):
        publication = Publication(group_id=str(number))
        one = raw_arrival("poison")
        delivery = replace(one, message=replace(one.message, publication=publication))
        assert order.settle([delivery], {delivery: 900}) == {delivery: 900}

    assert len(order._due) == MAX_WAITING_GROUPS


def test_a_message_that_cannot_be_read_holds_its_group_back(
    create: Callable[..., Names], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = create("ministack", ".fifo")
    publish(names, "a1", "a2", "b1")
    consumer = consumer_of(names, store)
    read = consumer.queue._read

    def refuse_a1(raw: Any, received_at: Any) -> Delivery:
        if '"a1"' in raw["Body"]:
            raise RecursionError("too deep")
        return read(raw, received_at)

    monkeypatch.setattr(consumer.queue, "_read", refuse_a1)

    outcome = consumer.take(3)

    assert previews(outcome.untouched) == ["a2"]
    assert previews(outcome.done) == ["b1"]

"""The producer: at random intervals or at a steady rate, and what it says was published was accepted."""

import itertools
import threading
import time
from collections.abc import Sequence

import pytest

from pipeline.aws import MAX_BATCH_BYTES
from pipeline.message import Message, new_message
from pipeline.stopping import Stopped
from producer.publish import greetings, publish_at_random_intervals, publish_at_steady_rate
from tests.support.publishing import TopicStandIn, publisher


def test_greetings_are_numbered_and_each_has_its_color() -> None:
    first, second, third = itertools.islice(greetings("Hello world"), 3)

    assert [m.sequence for m in (first, second, third)] == [1, 2, 3]
    assert first.preview == "Hello world"
    assert len({m.color for m in (first, second, third)} - {None}) == 3
    assert first.source.startswith("/producer/")


def test_what_is_refused_of_a_batch_is_sent_again_and_nothing_else() -> None:
    topic = TopicStandIn(refuse=[2, 3])
    messages = list(itertools.islice(greetings("hi"), 5))

    publisher(topic).publish(messages)

    assert [[m.sequence for m in call] for call in topic.calls] == [[1, 2, 3, 4, 5], [2, 3]]
    assert {m.id for m in topic.accepted} == {m.id for m in messages}


def test_while_sns_is_away_nothing_is_announced_and_nothing_lost(caplog: pytest.LogCaptureFixture) -> None:
    topic = TopicStandIn(broken_calls=3)
    [message] = itertools.islice(greetings("hi"), 1)

    with caplog.at_level("INFO"):
        publisher(topic).publish([message])

    said = [record.message for record in caplog.records]
    assert said == ["waiting for SNS", "published", "SNS is back"]
    assert [m.id for m in topic.accepted] == [message.id]


def test_a_batch_never_exceeds_what_one_request_may_hold() -> None:
    topic = TopicStandIn()
    messages = [new_message("/s", "t", {"text": "x" * 60_000}) for _ in range(25)]

    publisher(topic).publish(messages)

    assert [m.id for m in topic.accepted] == [m.id for m in messages]
    assert all(sum(len(m.body) for m in call) <= MAX_BATCH_BYTES for call in topic.calls)


def test_a_batch_for_a_fifo_topic_has_one_message_of_each_group() -> None:
    """What is refused of a batch is sent again behind the others of it."""
    topic = TopicStandIn("topic.fifo", refuse=[2])
    messages = list(itertools.islice(greetings("hi", groups=2), 5))

    publisher(topic).publish(messages)

    assert [[m.sequence for m in call] for call in topic.calls] == [[1, 2], [2], [3, 4], [5]]
    for group in (0, 1):
        of_group = [n for n in (m.sequence or 0 for m in topic.accepted) if n % 2 == group]
        assert of_group == sorted(of_group)


def test_stopping_ends_a_wait_at_once() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        publish_at_random_intervals(publisher(TopicStandIn(), stop), greetings("hi"), 60, 60)

    assert time.monotonic() - began < 5


class Clock(threading.Event):
    """A stop whose waits take no time: the clock moves on instead, and at `end` it is time to stop."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.now, self._end = 0.0, end

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        if self.now >= self._end:
            self.set()
        return self.is_set()


@pytest.mark.parametrize(("rate", "least_a_request"), [(0.5, 1), (20, 2), (200, 9), (1000, 9)])
def test_a_steady_rate_is_kept_in_few_requests(
    rate: float, least_a_request: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, clock = TopicStandIn(), Clock(end=20)
    monkeypatch.setattr("producer.publish.time", clock)

    with pytest.raises(Stopped):
        publish_at_steady_rate(publisher(topic, clock), greetings("hi"), rate)

    assert len(topic.accepted) == pytest.approx(20 * rate, abs=1 + rate / 10)
    assert len(topic.calls) <= len(topic.accepted) / least_a_request + 1


def test_what_fell_due_while_sns_was_away_is_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    topic, clock = TopicStandIn(), Clock(end=100)
    monkeypatch.setattr("producer.publish.time", clock)
    publish = topic.publish

    def publish_after_an_outage(messages: Sequence[Message]) -> list[tuple[Message, str]]:
        clock.now = max(clock.now, 50)
        return publish(messages)

    monkeypatch.setattr(topic, "publish", publish_after_an_outage)
    with pytest.raises(Stopped):
        publish_at_steady_rate(publisher(topic, clock), greetings("hi"), rate=20)

    assert len(topic.accepted) == pytest.approx(50 * 20, abs=2 * 20)

"""The producer: at random intervals or at a steady rate, and what it says was published was accepted."""

import itertools
import json
import threading
import time
from collections.abc import Callable

import pytest

from consumer.queue import Queue
from pipeline.aws import MAX_BATCH_BYTES, sqs_client
from pipeline.message import new_message
from pipeline.stopping import Stopped
from producer.publish import greetings, publish_at_random_intervals, publish_at_steady_rate
from tests.support.emulators import Names
from tests.support.publishing import TopicStandIn, publisher
from tests.support.services import Service
from tests.support.waiting import wait_for


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


def test_stopping_ends_a_wait_at_once() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        publish_at_random_intervals(publisher(TopicStandIn(), stop), greetings("hi"), 60, 60)

    assert time.monotonic() - began < 5


def test_a_steady_rate_is_kept_in_few_requests() -> None:
    topic, stop = TopicStandIn(), threading.Event()
    threading.Timer(1.5, stop.set).start()

    with pytest.raises(Stopped):
        publish_at_steady_rate(publisher(topic, stop), greetings("hi"), rate=200)

    assert 150 <= len(topic.accepted) <= 301
    assert len(topic.calls) <= len(topic.accepted) / 8


def test_the_queue_holds_exactly_what_the_log_says_was_published(
    ministack: Names, start: Callable[..., Service]
) -> None:
    producer = start("producer", ministack.environment, RATE_PER_SECOND="100")
    wait_for(lambda: producer.log().count('"published"') > 60)
    producer.process.ask_to_stop()

    assert producer.process.wait(5) == 0
    announced = {
        line["message_id"]
        for line in map(json.loads, producer.log().splitlines())
        if line["message"] == "published"
    }
    queue = Queue(sqs_client(10), ministack.queue, 30)
    found: set[str] = set()
    while batch := queue.receive(1):
        found |= {delivery.message.id for delivery in batch}
    assert found == announced

"""Publishing by the producer as a process, and by the viewer to the pipeline's own topic."""

import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from consumer.queue import Queue
from pipeline.aws import sqs_client
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for


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


def test_what_the_viewer_publishes_to_a_fifo_topic_keeps_its_group_and_conflicts_are_seen(
    open_viewer: Callable[..., FlaskClient], create: Callable[..., Names], emulator: str, store: Store
) -> None:
    names = create(emulator, ".fifo")
    viewer = open_viewer(store, names.topic)
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "subject": "A-1", "data": 1}
    sent: list[dict[str, Any]] = [event, event, {**event, "data": 2}, {"text": "hi"}]

    for document in sent:
        assert viewer.post("/api/messages", json=document).status_code == 202

    done = TestConsumer(names, store).take(3).done
    assert TestConsumer(names, store).left_in_queue() == 0
    groups = [delivery.message.publication.group_id for delivery in done]
    assert groups.count("A-1") == 2
    assert [group for group in groups if group != "A-1"] == [
        one.message.source for one in done if one.message.source != "/shop"
    ]
    stored = store.find(limit=10)
    assert [one.conflict_of is not None for one in stored if one.source == "/shop"] == [True, False]

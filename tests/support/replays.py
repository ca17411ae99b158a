"""Replays for tests: what is stored, what a queue got, and how one ended."""

import json
from collections.abc import Callable
from typing import Any

from consumer.queue import Queue
from pipeline.aws import sqs_client
from pipeline.message import Delivery
from tests.support.emulators import subscribed
from tests.support.endpoints import client
from tests.support.stores import Store
from tests.support.waiting import wait_for

ENDED = ("cancelled", "completed", "failed", "interrupted")


def stored_from(queue: str, store: Store, count: int) -> list[Delivery]:
    """Store what a queue brings until so many messages have come; return them."""
    found: list[Delivery] = []
    consumer = Queue(sqs_client(10), queue, 30)
    while len(found) < count:
        deliveries = consumer.receive(5)
        assert deliveries, f"{count - len(found)} did not come"
        store.add(deliveries)
        consumer.delete(deliveries)
        found += deliveries
    return found


def open_topic(name: str) -> str:
    """Create a topic that leads to a queue of the same name, with envelopes; return its ARN."""
    return subscribed(name, name, raw=False)


def bodies_in(queue: str) -> list[str]:
    """Receive and delete all that a queue holds; return the bodies, as they came."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages"
    ):
        for one in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        found += [one["Body"] for one in messages]
    return found


def texts_in(queue: str) -> list[Any]:
    """Return the data of the events that a queue holds, as they came."""
    return [json.loads(body)["data"] for body in bodies_in(queue)]


def ended(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return how a replay ended."""

    def last() -> dict[str, Any] | None:
        replay = read()
        return replay if replay["status"] in ENDED else None

    found = wait_for(last, seconds=30, what="the end of the replay")
    assert found is not None
    return found

"""The producer as a process: what it says was published was accepted."""

import json
from collections.abc import Callable

from consumer.queue import Queue
from pipeline.aws import sqs_client
from tests.support.emulators import Names
from tests.support.services import Service
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

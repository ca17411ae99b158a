"""A tap inside the test's process, and what it watches."""

import json
from typing import Any

import boto3

from consumer.tap import Tap
from consumer.tap_queue import OwnQueue
from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import list_subscriptions
from pipeline.watching import parse_patterns

TAP = "fanout-tap"


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def open_tap(watch: str = "*", read: str = "own", clock: Clock | None = None) -> Tap:
    patterns, clock = parse_patterns(watch), clock or Clock()
    queue = OwnQueue(sqs_client(5), TAP, patterns, clock)
    return Tap(sns_client(5), queue, patterns, lambda: {read}, clock)


def keep_later(tap: Tap, clock: Clock) -> None:
    """Let the tap take the next whole turn."""
    clock.now += 12
    tap.keep()


def publish_to(topic: str, text: str, **more: Any) -> None:
    group: dict[str, Any] = {"MessageGroupId": "g"} if topic.endswith(".fifo") else {}
    boto3.client("sns").publish(TopicArn=topic, Message=text, **group, **more)


def tapped() -> list[str]:
    """Return the names of the topics from which a subscription leads to the tap."""
    return sorted(
        one.topic_name for one in list_subscriptions(sns_client(5)) if one.queue and one.queue.name == TAP
    )


def received(queue: str = TAP) -> list[str]:
    """Take what is in a queue; return the texts that were published, out of their envelopes."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    texts: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages", []
    ):
        for message in messages:
            texts.append(json.loads(message["Body"])["Message"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(texts)

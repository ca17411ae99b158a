"""Somebody else's topics, queues and subscriptions, in an account of the test's own."""

import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

from consumer.queue import Queue
from pipeline.aws import sqs_client
from tests.support.stores import Store


def client(service: str) -> Any:
    """Return a client of the current account; making one takes longer than what it is made for."""
    return _client(service, os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_ACCESS_KEY_ID"])


@functools.cache
def _client(service: Any, *_: str) -> Any:
    return boto3.client(service)


def create_topic(name: str) -> str:
    """Return its ARN."""
    fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"} if name.endswith(".fifo") else {}
    return str(client("sns").create_topic(Name=name, Attributes=fifo)["TopicArn"])


def create_queue(name: str, dead_letter_arn: str | None = None) -> str:
    """Return its ARN."""
    sqs: Any = client("sqs")
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    if dead_letter_arn:
        attributes["RedrivePolicy"] = redrive(dead_letter_arn, maxReceiveCount=3)
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(found["QueueArn"])


def redrive(dead_letter_arn: str, **more: Any) -> str:
    """Return a redrive policy."""
    return json.dumps({"deadLetterTargetArn": dead_letter_arn, **more})


def subscribe(topic_arn: str, endpoint: str, protocol: str = "sqs", **attributes: Any) -> str:
    """Return what SNS calls its ARN. Attributes that are no texts are sent as JSON."""
    texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in attributes.items()}
    answer = client("sns").subscribe(
        TopicArn=topic_arn, Protocol=protocol, Endpoint=endpoint, Attributes=texts
    )
    return str(answer["SubscriptionArn"])


def refuse(refused: Any, operation: str, code: str = "AccessDenied") -> Callable[[], None]:
    """Let a client be refused this operation, as by an IAM policy or a limit: emulators enforce neither.

    Returns what allows it again.
    """
    event = f"before-call.{refused.meta.service_model.service_id.hyphenize()}.{operation}"

    def raise_error(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "refused by a test"}}, operation)

    refused.meta.events.register(event, raise_error)
    return lambda: refused.meta.events.unregister(event, raise_error)


def publish_and_store(
    store: Store, topic_arn: str, body: str, *, queue_name: str = "everything", **attributes: tuple[str, str]
) -> int:
    """Publish a message with types and values of attributes, store what this queue gets; return its seq."""
    given = {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in attributes.items()}
    client("sns").publish(TopicArn=topic_arn, Message=body, MessageAttributes=given)
    queue = Queue(sqs_client(10), queue_name, 30)
    deadline = time.monotonic() + 10
    while not (deliveries := queue.receive(wait_seconds=1)):
        assert time.monotonic() < deadline
    store.add(deliveries)
    return store.find(limit=1)[0].seq

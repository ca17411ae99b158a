"""What every emulator must do for us: the same contract for moto, MiniStack and LocalStack."""

import contextlib
import json
import runpy
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from consumer.queue import Queue
from local.emulators import RESOURCES, aws_environment
from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.message import Delivery, Message, new_message


@pytest.fixture(params=["moto", "ministack", "localstack"])
def suffix(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Reach one emulator after the other, with resources of the test's own."""
    suffix = uuid.uuid4().hex[:12]
    with contextlib.ExitStack() as stack:
        if request.param == "moto":
            environment = {**aws_environment(0), "AWS_ENDPOINT_URL": ""}
            stack.enter_context(mock_aws())
        else:
            environment = aws_environment(request.getfixturevalue(f"{request.param}_port"))
        names = {"TOPIC_NAME": f"topic-{suffix}", "QUEUE_NAME": f"queue-{suffix}", "MAX_RECEIVE_COUNT": "4"}
        for name, value in {**environment, **names}.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        runpy.run_path(str(RESOURCES))
        yield suffix


def attributes_of(queue: str) -> dict[str, str]:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    answer: Any = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer["Attributes"])


def test_resources_are_created_as_designed(suffix: str) -> None:
    queue, dead = attributes_of(f"queue-{suffix}"), attributes_of(f"queue-{suffix}-dlq")

    assert queue["VisibilityTimeout"] == "30"
    assert queue["ReceiveMessageWaitTimeSeconds"] == "20"
    redrive = json.loads(queue["RedrivePolicy"])
    assert int(redrive["maxReceiveCount"]) == 4
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert dead["MessageRetentionPeriod"] == str(14 * 86_400)
    [statement] = json.loads(queue["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":topic-{suffix}")


def test_fifo_resources_are_created_with_a_fifo_dead_letter_queue(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPIC_NAME", f"topic-{suffix}.fifo")
    monkeypatch.setenv("QUEUE_NAME", f"queue-{suffix}.fifo")

    runpy.run_path(str(RESOURCES))
    runpy.run_path(str(RESOURCES))

    queue, dead = attributes_of(f"queue-{suffix}.fifo"), attributes_of(f"queue-{suffix}-dlq.fifo")
    assert (queue["FifoQueue"], dead["FifoQueue"]) == ("true", "true")
    assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"] == dead["QueueArn"]
    message = new_message("/tests", "test", {"text": "hi"}, subject="A-1")
    topic = Topic(sns_client(), f"topic-{suffix}.fifo")
    assert topic.publish([message]) == topic.publish([message]) == []
    [delivery] = Queue(sqs_client(10), f"queue-{suffix}.fifo", 30).receive(5)
    assert delivery.message.publication.group_id == "A-1"


def test_a_fifo_queue_on_a_standard_topic_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOPIC_NAME", "orders")
    monkeypatch.setenv("QUEUE_NAME", "orders.fifo")

    with pytest.raises(SystemExit, match=r"^QUEUE_NAME='orders.fifo' is not allowed: TOPIC_NAME='orders'"):
        runpy.run_path(str(RESOURCES))


def test_creating_again_changes_what_the_settings_changed_and_nothing_else(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISIBILITY_TIMEOUT_SECONDS", "45")

    runpy.run_path(str(RESOURCES))
    runpy.run_path(str(RESOURCES))

    assert attributes_of(f"queue-{suffix}")["VisibilityTimeout"] == "45"
    assert len(subscriptions(suffix)) == 1


def test_the_subscription_delivers_raw(suffix: str) -> None:
    [subscription] = subscriptions(suffix)

    attributes = boto3.client("sns").get_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"]
    )
    assert attributes["Attributes"]["RawMessageDelivery"] == "true"


def as_published(delivery: Delivery, message: Message) -> Message:
    """Return what was delivered, with the time and the attributes that it had before SNS took it."""
    return replace(
        delivery.message, time=message.time, attributes=message.attributes, publication=message.publication
    )


def test_a_published_message_is_received_with_its_attributes_and_deleted(suffix: str) -> None:
    message = new_message("/tests", "test.message", {"text": "hi"})
    queue = Queue(sqs_client(10), f"queue-{suffix}", visibility_timeout_seconds=30)

    assert Topic(sns_client(), f"topic-{suffix}").publish([message]) == []
    [delivery] = queue.receive(5)

    assert as_published(delivery, message) == message
    assert delivery.receive_count == 1
    assert delivery.attributes == {"type": "test.message", "source": "/tests"}
    assert abs((delivery.sent_at - datetime.now(UTC)).total_seconds()) < 10
    assert queue.delete([delivery]) == []
    assert queue.receive(0) == []


def test_a_message_is_hidden_and_shown_again_when_asked(suffix: str) -> None:
    queue = Queue(sqs_client(10), f"queue-{suffix}", visibility_timeout_seconds=30)
    Topic(sns_client(), f"topic-{suffix}").publish([new_message("/tests", "t", {})])
    [first] = queue.receive(5)
    assert queue.receive(0) == []

    assert queue.hide({first: 0}) == []
    [second] = queue.receive(5)

    assert second.receive_count == 2
    assert second.message == first.message


def test_the_limit_of_tries_is_known(suffix: str) -> None:
    assert Queue(sqs_client(10), f"queue-{suffix}", 30).max_receive_count() == 4


def test_without_raw_delivery_the_notification_is_unwrapped(suffix: str) -> None:
    sns = boto3.client("sns")
    [subscription] = subscriptions(suffix)
    sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="RawMessageDelivery",
        AttributeValue="false",
    )
    message = new_message("/tests", "t", {"text": "wrapped"})

    Topic(sns, f"topic-{suffix}").publish([message])
    [delivery] = Queue(sqs_client(10), f"queue-{suffix}", 30).receive(5)

    assert as_published(delivery, message) == message


def subscriptions(suffix: str) -> list[Any]:
    topic = Topic(sns_client(), f"topic-{suffix}")
    found: list[Any] = boto3.client("sns").list_subscriptions_by_topic(TopicArn=topic.arn)["Subscriptions"]
    return found

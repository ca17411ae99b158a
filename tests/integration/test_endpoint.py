"""What exists on an endpoint: lists to their last page, and what they do not tell."""

import json
from typing import Any

import boto3
import pytest

from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import (
    Arn,
    describe_queue,
    describe_subscription,
    describe_topic,
    in_parallel,
    is_aws,
    list_queues,
    list_subscriptions,
    list_topics,
    parse_arn,
)

TOPICS = 105  # SNS lists 100 at a time


def create_topics(count: int) -> list[str]:
    sns = boto3.client("sns")
    return in_parallel(lambda n: str(sns.create_topic(Name=f"t-{n:03}")["TopicArn"]), range(count))


def create_queue(name: str, **attributes: Any) -> tuple[str, str]:
    sqs: Any = boto3.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


@pytest.mark.usefixtures("account")
def test_everything_is_listed_to_the_last_page() -> None:
    topics = create_topics(TOPICS)
    queue_url, queue_arn = create_queue("orders")
    sns: Any = boto3.client("sns")
    in_parallel(lambda arn: sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn), topics)

    assert sorted(topic.arn for topic in list_topics(sns_client())) == sorted(topics)
    subscriptions = list_subscriptions(sns_client())
    assert sorted(one.topic_arn for one in subscriptions) == sorted(topics)
    assert {one.queue for one in subscriptions} == {parse_arn(queue_arn)}
    assert [one.topic_name for one in list_subscriptions(sns_client(), topics[7])] == ["t-007"]
    assert [queue.url for queue in list_queues(sqs_client(5))] == [queue_url]
    assert list_queues(sqs_client(5), "no-such-") == []


@pytest.mark.usefixtures("account")
def test_a_subscription_tells_its_filter_its_dead_letters_and_its_form() -> None:
    [topic] = create_topics(1)
    (_, orders), (_, dead) = create_queue("orders"), create_queue("orders-dlq")
    policy = json.dumps({"kind": ["order"]})
    arn = boto3.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=orders,
        ReturnSubscriptionArn=True,
        Attributes={
            "RawMessageDelivery": "true",
            "FilterPolicy": policy,
            "FilterPolicyScope": "MessageBody",
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead}),
        },
    )["SubscriptionArn"]

    details = describe_subscription(sns_client(), arn)

    assert details is not None
    assert (details.is_raw, details.filter_scope, details.dead_letter_arn) == (True, "MessageBody", dead)
    assert json.loads(details.filter_policy or "") == {"kind": ["order"]}


@pytest.mark.usefixtures("account")
def test_a_queue_tells_its_depth_and_its_dead_letter_queue() -> None:
    _, dead = create_queue("orders-dlq")
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3})
    url, arn = create_queue("orders", RedrivePolicy=redrive, MessageRetentionPeriod="3600")
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="one")

    details = describe_queue(sqs_client(5), url)

    assert details is not None
    assert (details.arn, details.visible, details.in_flight, details.delayed) == (arn, 1, 0, 0)
    assert (details.dead_letter_arn, details.max_receive_count) == (dead, 3)
    assert details.retention.total_seconds() == 3600


@pytest.mark.usefixtures("account")
def test_what_is_gone_is_none() -> None:
    [topic] = create_topics(1)
    url, arn = create_queue("orders")
    sns = boto3.client("sns")
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.delete_topic(TopicArn=topic)
    boto3.client("sqs").delete_queue(QueueUrl=url)

    assert describe_topic(sns_client(), topic) is None
    assert describe_subscription(sns_client(), subscription) is None
    assert describe_queue(sqs_client(5), url) is None
    assert list_subscriptions(sns_client(), topic) == []


def test_the_parts_of_an_arn_are_those_of_aws() -> None:
    text = "arn:aws-cn:sqs:cn-north-1:123456789012:orders.fifo"

    assert parse_arn(text) == Arn("aws-cn", "sqs", "cn-north-1", "123456789012", "orders.fifo")
    assert str(parse_arn(text)) == text
    assert parse_arn("someone@example.com") is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://sns.eu-west-1.amazonaws.com", True),
        ("https://sqs.cn-north-1.amazonaws.com.cn/", True),
        ("http://localhost:4566", False),
        ("http://sns.us-east-1.localhost.localstack.cloud:4566", False),
        ("http://amazonaws.com.example.org", False),
    ],
)
def test_aws_itself_is_told_from_emulators(url: str, expected: bool) -> None:
    assert is_aws(url) is expected

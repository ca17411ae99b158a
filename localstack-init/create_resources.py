"""Creates what the pipeline stands on: dead-letter queue, queue, topic, policy, subscription.

Needs boto3 and the standard library only, and may run any number of times. LocalStack runs it when it is
ready ("Initialization Hooks", LocalStack), inside its own process and with `__name__ == "builtins"`: a main
guard would never be true there, so the last line does the work. `make run` executes the same file.

Names and numbers come from the environment: TOPIC_NAME, QUEUE_NAME, VISIBILITY_TIMEOUT_SECONDS,
MAX_RECEIVE_COUNT. The endpoint does too (AWS_ENDPOINT_URL); inside LocalStack it is LocalStack.
"""

import json
import os
from typing import Any

import boto3

DAY = 86_400


def create_resources() -> None:
    """Create all of them, in the order in which they need each other."""
    topic_name = os.environ.get("TOPIC_NAME") or "broadcasts"
    queue_name = os.environ.get("QUEUE_NAME") or "broadcasts-consumer"
    visibility_timeout = os.environ.get("VISIBILITY_TIMEOUT_SECONDS") or "30"
    max_receive_count = os.environ.get("MAX_RECEIVE_COUNT") or "5"

    inside_localstack = __name__ == "builtins"
    access: dict[str, Any] = {
        "endpoint_url": os.environ.get("AWS_ENDPOINT_URL")
        or ("http://localhost:4566" if inside_localstack else None),
        "region_name": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
    }
    if inside_localstack:
        access |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    sqs, sns = boto3.client("sqs", **access), boto3.client("sns", **access)

    _, dead_letter_arn = create_queue(sqs, f"{queue_name}-dlq", {"MessageRetentionPeriod": str(14 * DAY)})
    queue_url, queue_arn = create_queue(
        sqs,
        queue_name,
        {
            "VisibilityTimeout": visibility_timeout,
            "ReceiveMessageWaitTimeSeconds": "20",
            "RedrivePolicy": json.dumps(
                {"deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": int(max_receive_count)}
            ),
        },
    )
    # The topic comes last, with its subscription at once: what a running producer publishes in between
    # would reach nobody.
    partition, _, region, account = queue_arn.split(":")[1:5]
    topic_arn = f"arn:{partition}:sns:{region}:{account}:{topic_name}"
    sqs.set_queue_attributes(
        QueueUrl=queue_url, Attributes={"Policy": json.dumps(only_from(topic_arn, queue_arn))}
    )
    sns.create_topic(Name=topic_name)
    subscription_arn = sns.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription_arn, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    print(f"created: topic {topic_arn}, queue {queue_arn}, dead-letter queue {dead_letter_arn}", flush=True)


def create_queue(sqs: Any, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    """Create the queue, or change the one that exists: CreateQueue alone refuses other attributes."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def only_from(topic_arn: str, queue_arn: str) -> dict[str, Any]:
    """Return the policy that lets this topic, and no other, send to the queue ("Fanout to SQS", AWS)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }


create_resources()

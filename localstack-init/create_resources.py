"""Creates the dead-letter queue, the queue, its policy, the topic and the subscription.

It needs only boto3 and can run any number of times. LocalStack runs it as a ready hook ("Initialization
Hooks", LocalStack), inside its own process and with `__name__ == "builtins"`. A main guard would never be
true there, so the last line calls the function unconditionally. `make run` executes the same file.

It reads these environment variables: TOPIC_NAME, QUEUE_NAME, VISIBILITY_TIMEOUT_SECONDS, MAX_RECEIVE_COUNT,
FILTER_POLICY (JSON, of the subscription; unset: the queue gets every message), AWS_ENDPOINT_URL (inside
LocalStack the default is LocalStack itself) and AWS_REGION. A topic or queue whose
name ends with .fifo is a FIFO topic or queue; the dead-letter queue is of the same kind as its queue.
"""

import json
import os
from typing import Any

import boto3

DAY_SECONDS = 86_400
FIFO = ".fifo"


def create_resources() -> None:
    """Create all resources, each after those that it refers to."""
    topic_name = os.environ.get("TOPIC_NAME") or "broadcasts"
    queue_name = os.environ.get("QUEUE_NAME") or "broadcasts-consumer"
    visibility_timeout = os.environ.get("VISIBILITY_TIMEOUT_SECONDS") or "30"
    max_receive_count = os.environ.get("MAX_RECEIVE_COUNT") or "5"

    inside_localstack = __name__ == "builtins"
    if queue_name.endswith(FIFO) and not topic_name.endswith(FIFO):
        # A SystemExit would end the thread in which LocalStack runs its hooks.
        refuse = ValueError if inside_localstack else SystemExit
        raise refuse(
            f"QUEUE_NAME={queue_name!r} is not allowed: TOPIC_NAME={topic_name!r} is a standard topic, and "
            "SNS delivers to a FIFO queue only from a FIFO topic"
        )
    access: dict[str, Any] = {
        "endpoint_url": os.environ.get("AWS_ENDPOINT_URL")
        or ("http://localhost:4566" if inside_localstack else None),
        "region_name": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
    }
    if inside_localstack:
        access |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    sqs, sns = boto3.client("sqs", **access), boto3.client("sns", **access)

    _, dead_letter_arn = create_or_update_queue(
        sqs, dead_letter_name(queue_name), {"MessageRetentionPeriod": str(14 * DAY_SECONDS)}
    )
    queue_url, queue_arn = create_or_update_queue(
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
    # The topic comes last, and its subscription right after it: a message that a running producer publishes
    # in between is lost.
    partition, _, region, account = queue_arn.split(":")[1:5]
    topic_arn = f"arn:{partition}:sns:{region}:{account}:{topic_name}"
    sqs.set_queue_attributes(
        QueueUrl=queue_url, Attributes={"Policy": json.dumps(queue_policy(topic_arn, queue_arn))}
    )
    sns.create_topic(Name=topic_name, Attributes={"FifoTopic": "true"} if topic_name.endswith(FIFO) else {})
    subscription_arn = sns.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription_arn, AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    if filter_policy := os.environ.get("FILTER_POLICY"):
        sns.set_subscription_attributes(
            SubscriptionArn=subscription_arn, AttributeName="FilterPolicy", AttributeValue=filter_policy
        )
    print(f"created: topic {topic_arn}, queue {queue_arn}, dead-letter queue {dead_letter_arn}", flush=True)


def dead_letter_name(queue_name: str) -> str:
    """Return the name of the dead-letter queue: `orders-dlq`, or `orders-dlq.fifo` for `orders.fifo`."""
    suffix = FIFO if queue_name.endswith(FIFO) else ""
    return f"{queue_name.removesuffix(FIFO)}-dlq{suffix}"


def create_or_update_queue(sqs: Any, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    """Return the queue's URL and ARN.

    The attributes are set in a second call, because CreateQueue fails for a queue that exists with others.
    """
    fifo = {"FifoQueue": "true"} if name.endswith(FIFO) else {}
    url = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def queue_policy(topic_arn: str, queue_arn: str) -> dict[str, Any]:
    """Return the policy that allows only this topic to send to the queue ("Fanout to SQS", AWS)."""
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

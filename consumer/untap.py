"""Removes a tap: `TAP_NAME=… python -m consumer.untap`, which `make watch` does at its end."""

import sys
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from consumer.tap import end_subscriptions
from consumer.tap_queue import NotOurs, is_ours
from pipeline.aws import queue_url, sns_client, sqs_client
from pipeline.endpoint import ListedSubscription, is_missing, list_subscriptions, list_topics
from pipeline.retry import AWS_ERRORS, explain
from pipeline.settings import StandardName, load_settings

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

TIMEOUT_SECONDS = 5


class UntapSettings(BaseSettings):
    """Which tap."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    tap_name: StandardName = Field(description="SQS queue of the tap")


def main() -> int:
    """Remove the tap; return 1 if something of it is left, after one line that says why."""
    name = load_settings(UntapSettings).tap_name
    try:
        topics = remove_tap(sns_client(TIMEOUT_SECONDS), sqs_client(TIMEOUT_SECONDS), name)
    except (*AWS_ERRORS, NotOurs) as error:
        print(f"the tap {name} could not be removed: {explain(error)}", file=sys.stderr)
        return 1
    print(f"removed the tap {name}: {topics:,} topic{'s' * (topics != 1)} unsubscribed")
    return 0


def remove_tap(sns: "SNSClient", sqs: "SQSClient", name: str) -> int:
    """Delete the tap of this name, and all that leads to it; return how many topics were subscribed.

    As much as possible is removed. Raises NotOurs, and what boto3 raises.
    """
    url = _find(sqs, name)
    if url is not None and not is_ours(sqs, url):
        raise NotOurs(f"the queue {name} was not created by Fanout")
    try:
        topics = {topic.arn for topic in list_topics(sns)}
        leading = [one for one in list_subscriptions(sns) if _leads_to(one, name) and one.topic_arn in topics]
        for error in filter(None, end_subscriptions(sns, leading)):
            raise error
    finally:
        if url is not None:
            sqs.delete_queue(QueueUrl=url)
    return len({one.topic_arn for one in leading})


def _find(sqs: "SQSClient", name: str) -> str | None:
    try:
        return queue_url(sqs, name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _leads_to(subscription: ListedSubscription, name: str) -> bool:
    """Return whether this leads to the queue of this name in the topic's own account."""
    queue, topic = subscription.queue, subscription.topic_arn.split(":")
    return queue is not None and queue.name == name and [queue.region, queue.account] == topic[3:5]


if __name__ == "__main__":
    sys.exit(main())

"""What exists on an endpoint (an account and region of AWS, or an emulator): topics, subscriptions, queues.

Nothing is changed and nothing is kept: whoever asks often has to keep the answers. Lists are read to their
last page. Where a list does not say enough, `describe_…` asks about one, and returns None if it is gone by
then. All functions raise what boto3 raises, and do not retry.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from pipeline.fifo import is_fifo

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# SQS returns no second page unless the size of a page is set ("ListQueues", AWS).
MAX_QUEUES_PER_PAGE = 1_000
MAX_PARALLEL = 16
DEFAULT_RETENTION = timedelta(days=4)  # "SetQueueAttributes", AWS

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# What SNS and SQS say of what does not exist, in their different protocols.
_MISSING = ("NotFound", "NotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Arn:
    """An Amazon Resource Name of SNS or SQS, such as `arn:aws:sqs:eu-west-1:123456789012:orders`."""

    partition: str
    service: str
    region: str
    account: str
    name: str

    def __str__(self) -> str:
        """Return it as AWS writes it."""
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.name}"


def parse_arn(text: str) -> Arn | None:
    """Return the parts of an ARN, or None if this is none: endpoints of other protocols are addresses."""
    prefix, *parts = text.split(":", 5)
    return Arn(*parts) if prefix == "arn" and len(parts) == 5 else None


@dataclass(frozen=True, slots=True)
class ListedTopic:
    """A topic, as ListTopics tells it."""

    arn: str

    @property
    def name(self) -> str:
        """Its name; that of a FIFO topic ends with `.fifo`."""
        return self.arn.rpartition(":")[2]

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order within a message group."""
        return is_fifo(self.name)


@dataclass(frozen=True, slots=True)
class ListedSubscription:
    """A subscription, as ListSubscriptions tells it.

    `endpoint` is the ARN of a queue or a function, or an address, as its protocol has it. `owner` is an
    account. `arn` is no ARN until the subscription is confirmed.
    """

    arn: str
    topic_arn: str
    protocol: str
    endpoint: str
    owner: str

    @property
    def is_confirmed(self) -> bool:
        """Whether SNS delivers to it; otherwise it is pending or deleted, and cannot be described."""
        return self.arn.startswith("arn:")

    @property
    def topic_name(self) -> str:
        """The name of its topic."""
        return self.topic_arn.rpartition(":")[2]

    @property
    def queue(self) -> Arn | None:
        """The queue that it delivers to, or None if it does not deliver to a queue."""
        return parse_arn(self.endpoint) if self.protocol == "sqs" else None


@dataclass(frozen=True, slots=True)
class SubscriptionDetails:
    """The attributes of a subscription that say what it delivers, and how.

    `filter_policy` is its text, which is not always JSON; `filter_scope` is MessageAttributes or MessageBody.
    """

    is_raw: bool
    filter_policy: str | None
    filter_scope: str
    dead_letter_arn: str | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicDetails:
    """The attributes of a topic; `kms_key` is the key that encrypts it, if one does."""

    display_name: str
    kms_key: str | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListedQueue:
    """A queue, as ListQueues tells it."""

    url: str

    @property
    def name(self) -> str:
        """Its name; that of a FIFO queue ends with `.fifo`."""
        return self.url.rpartition("/")[2]

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order within a message group."""
        return is_fifo(self.name)


@dataclass(frozen=True, slots=True)
class QueueDetails:
    """The attributes of a queue. The three numbers of messages are approximate.

    `dead_letter_arn` and `max_receive_count` are None without a redrive policy that can be read.
    """

    arn: str
    visible: int
    in_flight: int
    delayed: int
    created_at: datetime
    retention: timedelta
    dead_letter_arn: str | None
    max_receive_count: int | None
    policy: str | None
    kms_key: str | None
    attributes: Mapping[str, str]

    @property
    def total(self) -> int:
        """About how many messages it holds, in whatever state."""
        return self.visible + self.in_flight + self.delayed


def is_aws(endpoint_url: str) -> bool:
    """Return whether this is the address of AWS itself, not that of an emulator or a proxy."""
    return (urlsplit(endpoint_url).hostname or "").endswith(_AWS_DOMAINS)


def is_missing(error: Exception) -> bool:
    """Return whether the endpoint said that what it was asked for does not exist."""
    return isinstance(error, ClientError) and error.response["Error"].get("Code") in _MISSING


# ---- lists


def list_topics(sns: "SNSClient") -> list[ListedTopic]:
    """Return all topics."""
    pages = sns.get_paginator("list_topics").paginate()
    return [ListedTopic(topic["TopicArn"]) for page in pages for topic in page.get("Topics", [])]


def list_subscriptions(sns: "SNSClient", topic_arn: str | None = None) -> list[ListedSubscription]:
    """Return all subscriptions, or those of one topic; none if that topic does not exist."""
    pages: Iterable[Any] = (
        sns.get_paginator("list_subscriptions").paginate()
        if topic_arn is None
        else sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    )
    try:
        return [_subscription(one) for page in pages for one in page.get("Subscriptions", [])]
    except ClientError as error:
        if topic_arn is not None and is_missing(error):
            return []
        raise


def list_queues(sqs: "SQSClient", prefix: str = "") -> list[ListedQueue]:
    """Return all queues, or those whose names begin with this prefix."""
    begins: Any = {"QueueNamePrefix": prefix} if prefix else {}
    pages = sqs.get_paginator("list_queues").paginate(
        **begins, PaginationConfig={"PageSize": MAX_QUEUES_PER_PAGE}
    )
    return [ListedQueue(url) for page in pages for url in page.get("QueueUrls", [])]


def _subscription(raw: Mapping[str, str]) -> ListedSubscription:
    return ListedSubscription(
        arn=raw.get("SubscriptionArn", ""),
        topic_arn=raw.get("TopicArn", ""),
        protocol=raw.get("Protocol", ""),
        endpoint=raw.get("Endpoint", ""),
        owner=raw.get("Owner", ""),
    )


# ---- one of a list


def describe_topic(sns: "SNSClient", topic_arn: str) -> TopicDetails | None:
    """Return the attributes of a topic."""
    found = _unless_missing(lambda: sns.get_topic_attributes(TopicArn=topic_arn))
    if found is None:
        return None
    attributes: Mapping[str, str] = found.get("Attributes", {})
    return TopicDetails(
        display_name=attributes.get("DisplayName", ""),
        kms_key=attributes.get("KmsMasterKeyId") or None,
        attributes=attributes,
    )


def describe_subscription(sns: "SNSClient", subscription_arn: str) -> SubscriptionDetails | None:
    """Return the attributes of a confirmed subscription."""
    found = _unless_missing(lambda: sns.get_subscription_attributes(SubscriptionArn=subscription_arn))
    if found is None:
        return None
    attributes: Mapping[str, str] = found.get("Attributes", {})
    return SubscriptionDetails(
        is_raw=attributes.get("RawMessageDelivery", "").lower() == "true",
        filter_policy=attributes.get("FilterPolicy") or None,
        filter_scope=attributes.get("FilterPolicyScope") or "MessageAttributes",
        dead_letter_arn=_redrive(attributes).get("deadLetterTargetArn"),
        attributes=attributes,
    )


def describe_queue(sqs: "SQSClient", url: str) -> QueueDetails | None:
    """Return the attributes of a queue."""
    found = _unless_missing(lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
    if found is None:
        return None
    attributes: Mapping[str, str] = found.get("Attributes", {})
    redrive = _redrive(attributes)
    retention = _number(attributes.get("MessageRetentionPeriod"))
    return QueueDetails(
        arn=attributes.get("QueueArn", ""),
        visible=_number(attributes.get("ApproximateNumberOfMessages")) or 0,
        in_flight=_number(attributes.get("ApproximateNumberOfMessagesNotVisible")) or 0,
        delayed=_number(attributes.get("ApproximateNumberOfMessagesDelayed")) or 0,
        created_at=datetime.fromtimestamp(_number(attributes.get("CreatedTimestamp")) or 0, UTC),
        retention=DEFAULT_RETENTION if retention is None else timedelta(seconds=retention),
        dead_letter_arn=redrive.get("deadLetterTargetArn"),
        max_receive_count=_number(redrive.get("maxReceiveCount")),
        policy=attributes.get("Policy") or None,
        kms_key=attributes.get("KmsMasterKeyId") or None,
        attributes=attributes,
    )


def in_parallel(call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what the call returns for each item, in their order; raises what the first failed one raised.

    An endpoint answers each request in milliseconds, but a hundred of them take seconds one by one.
    """
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        return list(pool.map(call, items))


def _unless_missing(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def _redrive(attributes: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the redrive policy; an empty one if there is none, or none that can be read."""
    try:
        policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    except ValueError:
        return {}
    return policy if isinstance(policy, dict) else {}


def _number(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None

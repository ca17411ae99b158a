"""AWS access: clients, the topic, and the URL of a queue.

The code is the same for an emulator and for AWS: boto3 reads AWS_ENDPOINT_URL, AWS_REGION and the keys from
the environment ("Configuration and credential file settings", AWS SDKs).
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from prometheus_client import Counter

from pipeline.fifo import deduplication_id, group_of, is_fifo
from pipeline.message import Message

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef, PublishBatchRequestEntryTypeDef
    from mypy_boto3_sqs import SQSClient

    Attributes = Mapping[str, MessageAttributeValueTypeDef]  # message attributes, as boto3 takes them

# "PublishBatch", AWS: ten entries, and 256 KiB for all of them together.
MAX_BATCH = 10
MAX_BATCH_BYTES = 256 * 1024
# Message attributes that every message is sent with, for filter policies.
OWN_ATTRIBUTES = ("type", "source")
NO_ATTRIBUTES: "Attributes" = MappingProxyType({})
GROUP = "fanout"  # of a message for a FIFO topic or queue whose group is not known
LONG_POLL_SECONDS = 20  # the maximum ("Amazon SQS long polling", AWS)

REQUESTS = Counter("fanout_aws_requests", "Requests to AWS, retries included", ["operation"])


class TopicNotFound(BotoCoreError):
    """The topic does not exist (yet)."""

    fmt = "SNS topic {name} does not exist"


def sns_client(read_timeout: float = 10) -> "SNSClient":
    """Return an SNS client. Exits with one line if the AWS_* variables are not valid."""
    return _client("sns", read_timeout)  # type: ignore[no-any-return]


def sqs_client(read_timeout: float) -> "SQSClient":
    """Return an SQS client. Exits with one line if the AWS_* variables are not valid.

    `read_timeout`, in seconds, must be longer than the longest poll.
    """
    return _client("sqs", read_timeout)  # type: ignore[no-any-return]


def _client(service: str, read_timeout: float) -> Any:
    # boto3 reads only AWS_DEFAULT_REGION; every other SDK, EKS and ECS use AWS_REGION.
    region = os.environ.get("AWS_REGION") or None
    make: Any = boto3.client  # its types require the name of the service as a literal
    try:
        client = make(service, region_name=region, config=_config(read_timeout))
    except (BotoCoreError, ValueError) as error:
        raise SystemExit(f"AWS access is not configured: {error}") from None
    client.meta.events.register("before-send", _count_request)
    return client


def _count_request(event_name: str, **_: object) -> None:
    REQUESTS.labels(event_name.rpartition(".")[2]).inc()


def _config(read_timeout: float) -> Config:
    # Callers retry: they log and count retries and can stop them. The second attempt here is for a pooled
    # connection that went stale.
    return Config(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=50,
        # Computed anew for every request otherwise, which takes a sixth of its CPU time.
        user_agent="fanout",
        parameter_validation=False,
    )


class Topic:
    """An SNS topic by name, looked up when it is first used."""

    def __init__(self, sns: "SNSClient", name: str) -> None:
        """Keep the client; send no request yet."""
        self.name = name
        self._sns = sns
        self._arn: str | None = None

    @property
    def arn(self) -> str:
        """The topic's ARN. Raises TopicNotFound, and what boto3 raises."""
        if self._arn is None:
            pages = self._sns.get_paginator("list_topics").paginate()
            arns = (topic["TopicArn"] for page in pages for topic in page["Topics"])
            self._arn = next((arn for arn in arns if arn.rpartition(":")[2] == self.name), None)
        if self._arn is None:
            raise TopicNotFound(name=self.name)
        return self._arn

    @property
    def known_arn(self) -> str | None:
        """The topic's ARN if it was looked up before; sends no request."""
        return self._arn

    @property
    def region(self) -> str:
        """The region that requests go to."""
        return self._sns.meta.region_name

    @property
    def endpoint(self) -> str:
        """The address that requests go to."""
        return self._sns.meta.endpoint_url

    def check(self) -> None:
        """Return if the topic exists. Raises what boto3 raises if not."""
        self._sns.get_topic_attributes(TopicArn=self.arn)

    def publish(
        self, messages: Sequence[Message], attributes: "Attributes" = NO_ATTRIBUTES
    ) -> list[tuple[Message, str]]:
        """Publish up to ten messages in one request; return those that AWS refused, each with the reason.

        Each message is sent with these attributes and OWN_ATTRIBUTES; to a FIFO topic in its group. Raises
        what boto3 raises if the whole request fails: then none is known to be published.
        """
        answer = self._sns.publish_batch(
            TopicArn=self.arn,
            PublishBatchRequestEntries=[
                _entry(str(i), message, attributes, is_fifo=self.is_fifo)
                for i, message in enumerate(messages)
            ],
        )
        return [
            (messages[int(failed["Id"])], f"{failed['Code']}: {failed.get('Message', '')}")
            for failed in answer.get("Failed", [])
        ]

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order of messages within their groups."""
        return is_fifo(self.name)

    def named(self, name: str) -> "Topic":
        """Return the topic of this name at the same endpoint."""
        return self if name == self.name else Topic(self._sns, name)

    def publish_exact(
        self,
        body: str,
        attributes: "Attributes" = NO_ATTRIBUTES,
        subject: str | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
    ) -> str:
        """Publish this body with these attributes and no others; return the id that SNS gave it.

        A FIFO topic needs a group, and drops a message with the deduplication id of another ("Publish", AWS):
        unless it is given one, each message gets one of its own. Raises what boto3 raises.
        """
        more: dict[str, str] = {"Subject": subject} if subject else {}
        if self.is_fifo:
            more |= fifo_parameters(group_id, deduplication_id)
        answer = self._sns.publish(TopicArn=self.arn, Message=body, MessageAttributes=attributes, **more)
        return answer["MessageId"]


def _entry(
    entry_id: str, message: Message, attributes: "Attributes", *, is_fifo: bool
) -> "PublishBatchRequestEntryTypeDef":
    own: Attributes = {
        name: {"DataType": "String", "StringValue": getattr(message, name)} for name in OWN_ATTRIBUTES
    }
    entry: PublishBatchRequestEntryTypeDef = {
        "Id": entry_id,
        "Message": message.body,
        "MessageAttributes": {**attributes, **own},
    }
    if is_fifo:
        entry |= {"MessageGroupId": group_of(message), "MessageDeduplicationId": deduplication_id(message)}
    return entry


def fifo_parameters(group_id: str | None, deduplication_id: str | None) -> dict[str, str]:
    """Return what a message for a FIFO topic or queue needs, with a deduplication id that no other has."""
    return {
        "MessageGroupId": group_id or GROUP,
        "MessageDeduplicationId": deduplication_id or str(uuid.uuid4()),
    }


def queue_url(sqs: "SQSClient", name: str) -> str:
    """Return the queue's URL. Raises what boto3 raises, QueueDoesNotExist among it."""
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]

"""Targets: the topics and queues of the endpoint that the viewer publishes to, exactly what it is given."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from pipeline.aws import NO_ATTRIBUTES, Topic, TopicNotFound, fifo_parameters, queue_url
from pipeline.endpoint import is_missing
from pipeline.fifo import is_fifo
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from pipeline.aws import Attributes


# What SNS and SQS accept as text: the characters of XML 1.0.
SENDABLE = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
MAX_KNOWN = 1_000  # topics


class Target(Protocol):
    """A topic or a queue."""

    @property
    def name(self) -> str:
        """Its name."""

    def publish_exact(
        self,
        body: str,
        attributes: "Attributes" = NO_ATTRIBUTES,
        subject: str | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
    ) -> str:
        """Publish this body with these attributes and no others; return the id that it was given."""


class TargetQueue:
    """A queue by its URL."""

    def __init__(self, sqs: "SQSClient", name: str, url: str, delay_seconds: int = 0) -> None:
        """Send no request yet. A standard queue hides what it is sent for so many seconds."""
        self._sqs, self.name, self._url, self._delay_seconds = sqs, name, url, delay_seconds

    def publish_exact(
        self,
        body: str,
        attributes: "Attributes" = NO_ATTRIBUTES,
        subject: str | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
    ) -> str:
        """Send this body with these attributes and no others; return the id that SQS gave it.

        A message in a queue has no subject. Raises what boto3 raises.
        """
        del subject
        more: dict[str, Any] = {}
        if is_fifo(self.name):
            more = {**fifo_parameters(group_id, deduplication_id)}
        elif self._delay_seconds:  # 0 would override that of the queue ("SendMessage", AWS)
            more = {"DelaySeconds": self._delay_seconds}
        sent: Any = attributes  # the types of SNS and SQS are the same
        answer = self._sqs.send_message(QueueUrl=self._url, MessageBody=body, MessageAttributes=sent, **more)
        return answer["MessageId"]


class Targets:
    """Finds topics and queues by their names."""

    def __init__(self, topic: Topic, sqs: "SQSClient") -> None:
        """Send no request yet. `topic` is the pipeline's own."""
        self.own_topic, self._sqs = topic, sqs
        self._topics: dict[str, Topic] = {}  # each is looked up once

    def topic(self, name: str) -> Topic:
        """Return the topic of this name. Raises a Problem if there is none."""
        found = self._topics.get(name) or self.own_topic.named(name)
        with refusals():
            try:
                found.arn  # noqa: B018 - it is looked up
            except TopicNotFound:
                raise Problem(409, f"there is no topic {name}") from None
        if len(self._topics) < MAX_KNOWN:
            self._topics[name] = found
        return found

    def queue(self, name: str, delay_seconds: int = 0) -> TargetQueue:
        """Return the queue of this name. Raises a Problem if there is none."""
        with refusals("SQS"):
            try:
                return TargetQueue(self._sqs, name, queue_url(self._sqs, name), delay_seconds)
            except ClientError as error:
                if is_missing(error):
                    raise Problem(409, f"there is no queue {name}") from None
                raise


@contextlib.contextmanager
def refusals(service: str = "SNS") -> Iterator[None]:
    """Turn what SNS or SQS answers, or that it does not, into the Problem that says so."""
    try:
        yield
    except ClientError as error:
        status = 409 if is_missing(error) else _status_for(error.response["Error"]["Code"])
        raise Problem(status, explain(error)) from None
    except AWS_ERRORS as error:
        raise Problem(503, f"{service} does not take messages now: {explain(error)}") from None


def _status_for(code: str) -> int:
    """Return 400 if AWS says that the message is wrong ("Publish", "SendMessage", AWS), else 503."""
    wrong = ("Invalid", "BatchRequestTooLong", "ParameterValueInvalid", "MessageTooLong")
    return 400 if code.startswith(wrong) else 503

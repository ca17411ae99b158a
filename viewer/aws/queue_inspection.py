"""Inspecting queues: how many messages they hold, and which, where the endpoint can tell.

Receiving would hide messages from the consumers and raise their receive counts. Emulators can list messages
without that (LocalStack, "SQS developer endpoints"; MiniStack, "Inspecting queues"); AWS only counts them.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pipeline.aws import queue_url
from pipeline.message import attribute_text
from viewer.aws.fetching import fetch_json

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

COUNTS: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
DESCRIPTION: "tuple[QueueAttributeNameType, ...]" = (
    *COUNTS,
    "CreatedTimestamp",
    "MessageRetentionPeriod",
    "RedrivePolicy",
)
# The endpoints of the emulators always return all messages with their bodies.
MAX_LOOKED_AT = 1_000
LOOK_TIMEOUT_SECONDS = 5
MAX_RETENTION_SECONDS = 14 * 86_400  # "SetQueueAttributes", AWS


@dataclass(frozen=True, slots=True)
class Depth:
    """About how many messages a queue holds, as SQS counts them."""

    name: str
    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True, slots=True)
class Described:
    """A queue: its depth, when it was created, by the clock of SQS, and how long it keeps messages."""

    depth: Depth
    created_at: datetime
    retention: timedelta
    dead_letter_queue: str | None

    @property
    def name(self) -> str:
        """Its name."""
        return self.depth.name


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message in a queue; `state` is visible, in flight or delayed."""

    message_id: str
    state: str
    receive_count: int
    sent_at: datetime | None
    body: str
    attributes: dict[str, str]


class CannotLook(Exception):
    """The endpoint cannot list messages, or there are too many; the text says which."""


class Queues:
    """The queue of the pipeline and its dead-letter queue, and any other. Methods raise what boto3 raises."""

    def __init__(self, sqs: "SQSClient", name: str) -> None:
        """Send no request yet."""
        self._sqs, self.name = sqs, name

    def described(self) -> tuple[Described, Described | None]:
        """Return the queue and its dead-letter queue, if it has one."""
        queue = self._describe(self.name)
        return queue, self._describe(queue.dead_letter_queue) if queue.dead_letter_queue else None

    def depths(self) -> tuple[Depth, Depth | None]:
        """Return the depths of the queue and of its dead-letter queue, if it has one."""
        queue, dead = self.described()
        return queue.depth, dead.depth if dead else None

    def depth(self, name: str) -> Depth:
        """Return the depth of any queue."""
        return self._describe(name).depth

    def purge(self, name: str) -> None:
        """Delete all messages in any queue."""
        self._sqs.purge_queue(QueueUrl=queue_url(self._sqs, name))

    def look(self, depth: Depth) -> list[Waiting]:
        """Return the messages in this queue, oldest first, without changing anything.

        Raises CannotLook, and FetchError.
        """
        if depth.total > MAX_LOOKED_AT:
            raise CannotLook(f"more than {MAX_LOOKED_AT:,} messages are too many to look at")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL")
        if not endpoint:
            raise CannotLook("AWS has no way to look into a queue without receiving from it")
        for found in self._ask(endpoint.rstrip("/"), queue_url(self._sqs, depth.name)):
            return sorted(
                map(_waiting, found), key=lambda one: one.sent_at or datetime.min.replace(tzinfo=UTC)
            )
        raise CannotLook("this endpoint has no way to look into a queue without receiving from it")

    def _describe(self, name: str) -> Described:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=queue_url(self._sqs, name), AttributeNames=list(DESCRIPTION)
        )
        attributes: dict[str, str] = dict(answer.get("Attributes", {}))  # type: ignore[arg-type]
        visible, in_flight, delayed = (int(attributes.get(count, 0)) for count in COUNTS)
        policy = attributes.get("RedrivePolicy")
        return Described(
            Depth(name, visible, in_flight, delayed),
            created_at=datetime.fromtimestamp(float(attributes.get("CreatedTimestamp", 0)), UTC),
            retention=timedelta(seconds=int(attributes.get("MessageRetentionPeriod", MAX_RETENTION_SECONDS))),
            dead_letter_queue=json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
            if policy
            else None,
        )

    def _ask(self, endpoint: str, url: str) -> Iterator[Sequence[dict[str, Any]]]:
        """Yield the messages that the endpoint lists, if it can."""
        shown = {"QueueUrl": url, "ShowInvisible": "true", "ShowDelayed": "true"}
        answers: tuple[tuple[str, dict[str, str], Callable[[Any], Sequence[dict[str, Any]]]], ...] = (
            ("/_aws/sqs/messages", shown, _localstack_messages),
            ("/_ministack/sqs/messages", {}, lambda document: _ministack_messages(document, url)),
        )
        for path, parameters, read in answers:
            address = f"{endpoint}{path}?{urlencode(parameters)}"
            status, document = fetch_json(address, LOOK_TIMEOUT_SECONDS)
            if status == 200:
                yield read(document)


def _localstack_messages(document: Any) -> Sequence[dict[str, Any]]:
    found = document.get("ReceiveMessageResponse", document)
    found = found.get("ReceiveMessageResult", found) or {}
    messages = found.get("Message", found.get("Messages")) or []
    return [messages] if isinstance(messages, dict) else messages


def _ministack_messages(document: Any, url: str) -> Sequence[dict[str, Any]]:
    # By account, region and a URL, whose host may differ from ours.
    path = url.rpartition("://")[2].partition("/")[2]
    return [
        message
        for regions in document["messages"].values()
        for queues in regions.values()
        for known_url, messages in queues.items()
        if known_url.endswith(f"/{path}")
        for message in messages
    ]


def _mapping(value: Any) -> dict[str, Any]:
    """Return values by name; LocalStack sends a list of Name and Value, or a single pair."""
    if isinstance(value, dict) and value.keys() != {"Name", "Value"}:
        return value
    pairs = [value] if isinstance(value, dict) else value or []
    return {pair["Name"]: pair["Value"] for pair in pairs}


def _waiting(raw: dict[str, Any]) -> Waiting:
    system = _mapping(raw.get("Attributes") or raw.get("Attribute"))
    count = int(raw.get("ReceiveCount") or system.get("ApproximateReceiveCount") or 0)
    visible = raw.get("IsVisible", system.get("IsVisible")) in (True, "true")
    delayed = system.get("IsDelayed") == "true" or (not visible and count == 0)
    sent = int(system.get("SentTimestamp", 0)) / 1000
    given = _mapping(raw.get("MessageAttributes") or raw.get("MessageAttribute"))
    return Waiting(
        message_id=str(raw["MessageId"]),
        state="delayed" if delayed else "visible" if visible else "in flight",
        receive_count=count,
        sent_at=datetime.fromtimestamp(sent, UTC) if sent else None,
        body=str(raw["Body"]),
        attributes={name: attribute_text(value) for name, value in given.items()},
    )

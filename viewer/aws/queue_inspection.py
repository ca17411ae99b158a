"""Inspecting queues: how many messages they hold, and which, where the endpoint can tell.

Receiving would hide messages from the consumers and raise their receive counts. Emulators can list messages
without that (LocalStack, "SQS developer endpoints"; MiniStack, "Inspecting queues"); AWS only counts them.
"""

import functools
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pipeline.aws import queue_url
from pipeline.endpoint import is_aws
from pipeline.message import attribute_text
from pipeline.timely import NoAnswer, Timely
from viewer.aws.fetching import FetchError, fetch_json

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
MINISTACK_PATH = "/_ministack/sqs/messages"
# To find out how old the oldest message is.
MAX_AGED_BYTES = 2 * 1024 * 1024
SHARED_SECONDS = 1
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
        return list_messages(queue_url(self._sqs, depth.name))

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


def list_messages(url: str) -> list[Waiting]:
    """Return the messages in the queue of this URL, oldest first, without changing anything.

    Raises CannotLook, and FetchError.
    """
    return _list(url, lambda address: fetch_json(address, LOOK_TIMEOUT_SECONDS))


def oldest_sent_at(url: str) -> datetime | None:
    """Return when the oldest message in the queue of this URL was sent.

    None if it is empty, or if the messages are too large to find out. Raises CannotLook, and FetchError.
    """
    return next((one.sent_at for one in _list(url, _fetch_little)), None)


def _fetch_little(address: str) -> tuple[int, Any]:
    # MiniStack answers with the messages of all queues: once is enough for all of them.
    if MINISTACK_PATH not in address:
        return fetch_json(address, LOOK_TIMEOUT_SECONDS, MAX_AGED_BYTES)
    try:
        return _shared(address)()
    except NoAnswer as error:
        raise FetchError(str(error)) from None


@functools.lru_cache(1)
def _shared(address: str) -> Timely[tuple[int, Any]]:
    def fetch() -> tuple[int, Any]:
        return fetch_json(address, LOOK_TIMEOUT_SECONDS, MAX_AGED_BYTES)

    return Timely(fetch, SHARED_SECONDS, LOOK_TIMEOUT_SECONDS)


def _list(url: str, fetch: Callable[[str], tuple[int, Any]]) -> list[Waiting]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint or is_aws(endpoint):
        raise CannotLook("AWS has no way to look into a queue without receiving from it")
    try:
        for path, parameters, read in _answers(url):
            status, document = fetch(f"{endpoint.rstrip('/')}{path}?{urlencode(parameters)}")
            if status == 200:
                found = map(_waiting, read(document))
                return sorted(found, key=lambda one: one.sent_at or datetime.min.replace(tzinfo=UTC))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise CannotLook("this endpoint does not list messages as emulators do") from None
    raise CannotLook("this endpoint has no way to look into a queue without receiving from it")


def _answers(url: str) -> tuple[tuple[str, dict[str, str], Callable[[Any], Sequence[dict[str, Any]]]], ...]:
    """Return how emulators are asked about the queue of this URL, and how each answer is read."""
    *_, account, _ = ["", *urlsplit(url).path.split("/")]
    accounts = {"account": account} if re.fullmatch(r"[0-9]{12}", account) else {}
    shown = {"QueueUrl": url, "ShowInvisible": "true", "ShowDelayed": "true"}
    return (
        ("/_aws/sqs/messages", shown, _localstack_messages),
        (MINISTACK_PATH, accounts, lambda document: _ministack_messages(document, url)),
    )


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

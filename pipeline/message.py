"""The message: what is published, stored and shown.

On the wire it is a CloudEvents 1.0 JSON document in structured mode ("JSON Event Format for CloudEvents").
Anything else that arrives on the queue becomes a message too: none is dropped because of its format.
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

GREETING = "fanout.greeting"
TEXT = "fanout.text"

# Message attribute in which a redrive sends the id of a text, to which SQS would otherwise give a new one.
ORIGINAL_ID = "fanout-original-id"

# CloudEvents attribute of a copy: source and id of its original, separated by a space.
COPY_OF = "fanoutcopyof"

PREVIEW_LENGTH = 200
MAX_BIGINT = 2**63 - 1


class NotACloudEvent(ValueError):
    """The document is not a CloudEvent 1.0; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `source` and `id` together identify it (CloudEvents, "id").

    `time` is when it was published, in UTC. `body` is the text exactly as published, `data` its payload as
    parsed JSON or as text. `copy_of` names its original (see COPY_OF) if it is a copy.
    """

    source: str
    id: str
    type: str
    time: datetime
    body: str
    data: Any
    copy_of: str | None = None

    @property
    def identity(self) -> bytes:
        """A key of 32 bytes: equal for two messages exactly if source and id are equal."""
        return hashlib.sha256(json.dumps([self.source, self.id]).encode()).digest()

    @property
    def preview(self) -> str:
        """The first characters of its text: of `text` in its data, else of the data."""
        data = self.data
        text = data.get("text") if isinstance(data, dict) else data
        return (text if isinstance(text, str) else to_json(data))[:PREVIEW_LENGTH]

    @property
    def color(self) -> str | None:
        """The `color` in its data, as `#rrggbb`, or None."""
        color = self.data.get("color") if isinstance(self.data, dict) else None
        return color if isinstance(color, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", color) else None

    @property
    def sequence(self) -> int | None:
        """The `sequence` in its data, a number that its source counts, or None."""
        number = self.data.get("sequence") if isinstance(self.data, dict) else None
        fits = isinstance(number, int) and not isinstance(number, bool) and abs(number) <= MAX_BIGINT
        return number if fits else None


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One receipt of a message from SQS ("ReceiveMessage", AWS).

    `queue` is the name of the queue that delivered it, `message_id` is SQS's, `receipt_handle` is what
    deletes it, `receive_count` is 1 the first time.
    """

    message: Message
    queue: str
    message_id: str
    receipt_handle: str
    receive_count: int
    sent_at: datetime
    received_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)


def new_message(source: str, type: str, data: Mapping[str, Any]) -> Message:  # noqa: A002 - CloudEvents' word
    """Return a message to publish now, with a new id."""
    now = datetime.now(UTC)
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": type,
        "time": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return message_from_event(event, now)


def message_from_event(event: Any, published: datetime, body: str | None = None) -> Message:
    """Return the message of a parsed CloudEvent; `published` is its time if the event has no valid one.

    `body` is the text that it was parsed from. Raises NotACloudEvent.
    """
    if not isinstance(event, dict):
        raise NotACloudEvent("a CloudEvent is a JSON object")
    if event.get("specversion") != "1.0":
        raise NotACloudEvent('specversion must be "1.0"')
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise NotACloudEvent(f"{name} is required")
    return Message(
        source=event["source"],
        id=event["id"],
        type=event["type"],
        time=_parse_time(event.get("time")) or published,
        body=to_json(event) if body is None else body,
        data=event["data"] if "data" in event else event.get("data_base64"),
        copy_of=event[COPY_OF] if isinstance(event.get(COPY_OF), str) else None,
    )


def message_from_body(body: str, *, text_id: str, text_source: str, published: datetime) -> Message:
    """Return the message of an SQS body: a CloudEvent or any other text, alone or in an SNS notification.

    A text has no identity of its own: it gets `text_source` and `text_id`, or the id in its notification.
    """
    document = _parse_json(body)
    if _is_notification(document):
        body, text_id = document["Message"], document["MessageId"]
        document = _parse_json(body)
    try:
        return message_from_event(document, published, body)
    except NotACloudEvent:
        return Message(text_source, text_id, TEXT, published, body, _data(document, body))


def has_own_identity(body: str) -> bool:
    """Return whether the body contains its identity, so that it stays the same message when sent again."""
    document = _parse_json(body)
    return _is_notification(document) or _is_event(document)


def read_data(body: str) -> Any:
    """Return the payload of a stored body: a CloudEvent's data, other JSON as it is, else the text."""
    document = _parse_json(body)
    try:
        return message_from_event(document, datetime.now(UTC), body).data
    except NotACloudEvent:
        return _data(document, body)


def read_copy_of(body: str) -> str | None:
    """Return the message that a stored body names as its original (see COPY_OF), or None."""
    try:
        return message_from_event(_parse_json(body), datetime.now(UTC), body).copy_of
    except NotACloudEvent:
        return None


def to_json(value: Any) -> str:
    """Return compact JSON, without escapes if it can be encoded in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if _is_utf8(text) else json.dumps(value, separators=(",", ":"))


def storable(text: str) -> str:
    r"""Return the text in a form that PostgreSQL can hold: NUL and lone surrogates become \u0000, \ud800."""
    if text.isascii() and "\x00" not in text:  # the common case of what is called for every word
        return text
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def attribute_text(value: Mapping[str, Any]) -> str:
    """Return an SQS message attribute as text; a binary one in base64."""
    if "StringValue" in value:
        return str(value["StringValue"])
    binary = value.get("BinaryValue", "")
    return base64.b64encode(binary).decode() if isinstance(binary, bytes) else str(binary)


def _is_event(document: Any) -> bool:
    try:
        message_from_event(document, datetime.now(UTC), "")
    except NotACloudEvent:
        return False
    return True


def _data(document: Any, body: str) -> Any:
    return body if document is None else document


def _is_notification(document: Any) -> bool:
    """Return whether this is an envelope of SNS, without raw delivery ("Amazon SNS message formats", AWS)."""
    return (
        isinstance(document, dict)
        and document.get("Type") == "Notification"
        and "TopicArn" in document
        and all(isinstance(document.get(name), str) for name in ("Message", "MessageId"))
    )


def _parse_json(text: str) -> Any:
    """Return the value, or None if the text is not JSON or nests deeper than Python can parse."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse_time(value: Any) -> datetime | None:
    """Return an RFC 3339 time in UTC, or None if it is not one or outside the years of Python."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

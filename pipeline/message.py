"""The message: what is published, stored and shown.

On the wire it is a CloudEvents 1.0 JSON document in structured mode ("JSON Event Format for CloudEvents").
Anything else that arrives on the queue becomes a message too: none is dropped because of its format. What is
known of other formats is in `pipeline.formats`.
"""

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from pipeline.envelope import (
    UNKNOWN,
    Publication,
    attributes_in,
    is_notification,
    publication_in,
    taken_by_sns,
    topic_name,
)
from pipeline.formats import parse_time, recognise
from pipeline.json_text import read_json, to_json

GREETING = "fanout.greeting"
TEXT = "fanout.text"
BATCH = "cloudevents.batch"

# Message attribute in which a redrive sends the id of a text, to which SQS gives a new one. It only says
# which of the texts that a redrive sent this is: see pipeline/store/redrives.py.
ORIGINAL_ID = "fanout-original-id"
MAX_ATTRIBUTES = 10  # "SendMessage", AWS
# In characters: a longer text with this attribute may be too large for its queue.
MAX_LENGTH_WITH_ORIGINAL_ID = 60_000

# CloudEvents attribute of a copy: source and id of its original, separated by a space.
COPY_OF = "fanoutcopyof"

PREVIEW_LENGTH = 200
MAX_BIGINT = 2**63 - 1
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})

# Of the message attributes that are those of a CloudEvent in binary mode. They are named as headers ("HTTP
# Protocol Binding for CloudEvents"), or as in the draft "Amazon SNS Transport Binding for CloudEvents".
_BINARY_MODE_PREFIXES = ("ce-", "ce_")
_JSON_TYPE = re.compile(r"\s*[\w.+-]+/(json|[\w.-]+\+json)\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class NotACloudEvent(ValueError):
    """The document is not a CloudEvent 1.0; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `source` and `id` together identify it (CloudEvents, "id").

    `time` is when SNS or SQS took it, in UTC; `event_time` is the time that it states itself, or None. `body`
    is the text exactly as published, `data` its payload: JSON (see read_json), text, or bytes. `title` says
    in words what happened, if its format or its subject tells and its data holds no text. `copy_of` names
    its original (see COPY_OF) if it is a copy. `attributes` are its SNS or SQS message attributes, binary
    ones in base64; `publication` has their types, and all else that SNS and SQS say of it.
    """

    source: str
    id: str
    type: str
    time: datetime
    body: str
    data: Any
    copy_of: str | None = None
    event_time: datetime | None = None
    title: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    publication: Publication = UNKNOWN

    @property
    def identity(self) -> bytes:
        """A key of 32 bytes: equal for two messages exactly if source and id are equal."""
        return hashlib.sha256(json.dumps([self.source, self.id]).encode()).digest()

    @property
    def content(self) -> bytes:
        """A key of 32 bytes: SHA-256 of the body as stored and, in binary mode, of the event's attributes.

        Messages of the same identity are the same message only if their content is equal, too.
        """
        text = storable(self.body)
        event = sorted(
            one for one in self.attributes.items() if one[0].lower().startswith(_BINARY_MODE_PREFIXES)
        )
        return hashlib.sha256((f"{text}\0{json.dumps(event)}" if event else text).encode()).digest()

    @property
    def preview(self) -> str:
        """The first characters of its text: of `text` in its data, else of the data."""
        if isinstance(self.data, bytes):
            return "(binary)"
        text = self.data if isinstance(self.data, str) else _text_member(self.data)
        return (to_json(self.data) if text is None else text)[:PREVIEW_LENGTH]

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
    deletes it, `receive_count` is 1 the first time. `sent_at` is when the queue took it. `unreadable` is why
    no message could be made of it; then `message` only holds its text.
    """

    message: Message
    queue: str
    message_id: str
    receipt_handle: str
    receive_count: int
    sent_at: datetime
    received_at: datetime
    unreadable: Exception | None = None

    @property
    def attributes(self) -> Mapping[str, str]:
        """The message attributes, also those in the envelope of SNS."""
        return self.message.attributes


def new_message(
    source: str,
    type: str,  # noqa: A002 - CloudEvents' word
    data: Mapping[str, Any],
    **extensions: str,
) -> Message:
    """Return a message to publish now, with a new id and these extension attributes."""
    now = datetime.now(UTC)
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": type,
        "time": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        **extensions,
        "datacontenttype": "application/json",
        "data": data,
    }
    return message_from_event(event, now)


def message_from_event(
    event: Any, published: datetime, body: str | None = None, attributes: Mapping[str, str] = NO_ATTRIBUTES
) -> Message:
    """Return the message of a parsed CloudEvent that was `published` at this time.

    `body` is the text that it was parsed from. Raises NotACloudEvent.
    """
    _check_event(event)
    data = event["data"] if "data" in event else _decode(event.get("data_base64"), event)
    return Message(
        source=event["source"],
        id=event["id"],
        type=event["type"],
        time=published,
        body=to_json(event) if body is None else body,
        data=data,
        copy_of=event[COPY_OF] if isinstance(event.get(COPY_OF), str) else None,
        event_time=parse_time(event.get("time")),
        title=_event_title(event, data),
        attributes=attributes,
    )


def message_from_body(
    body: str,
    *,
    text_id: str,
    text_source: str,
    published: datetime,
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
    publication: Publication = UNKNOWN,
) -> Message:
    """Return the message of an SQS body: any text, alone or in an SNS notification.

    What has no identity of its own gets `text_source` and `text_id`. In a notification it gets the topic and
    the id in there, never `text_source`: anybody can write a notification that names any id. `published` is
    when SQS took it, `attributes` are its SQS message attributes; `publication` is what is known without the
    notification.
    """
    document = read_json(body)
    if not is_notification(document):
        message = _read(
            body, document, attributes, text_id=text_id, text_source=text_source, published=published
        )
        return replace(message, publication=publication)
    inner = document["Message"]
    message = _read(
        inner,
        read_json(inner),
        {**attributes_in(document), **attributes},
        text_id=document["MessageId"],
        text_source=f"/sns/{topic_name(document['TopicArn'])}",
        published=taken_by_sns(document.get("Timestamp"), published),
    )
    publication = publication_in(document, publication)
    title = message.title
    if publication.subject and not title and not _text_member(message.data):
        title = f"{publication.subject} · {message.preview}"[:PREVIEW_LENGTH]
    return replace(message, publication=publication, title=title)


def read_stored(body: str, attributes: Mapping[str, str]) -> Message:
    """Return what a stored body says: its data, title, event time and original. The rest is stored apart."""
    now = datetime.now(UTC)
    return _read(body, read_json(body), attributes, text_id="", text_source="", published=now)


def has_own_identity(body: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> bool:
    """Return whether a message contains its identity, so that it stays the same message when sent again."""
    sent = datetime.now(UTC)
    return message_from_body(body, text_id="", text_source="", published=sent, attributes=attributes).id != ""


def has_event(body: str, attributes: Mapping[str, str]) -> bool:
    """Return whether a message is one CloudEvent, in structured or in binary mode."""
    return is_event(read_json(body)) or bool(binary_mode_names(attributes))


def can_carry_original_id(body: str, attributes: Collection[str]) -> bool:
    """Return whether a redrive sends this text, with attributes of these names, with an ORIGINAL_ID."""
    others = [name for name in attributes if name != ORIGINAL_ID]
    return len(others) < MAX_ATTRIBUTES and len(body) <= MAX_LENGTH_WITH_ORIGINAL_ID


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


def _read(
    body: str,
    document: Any,
    attributes: Mapping[str, str],
    *,
    text_id: str,
    text_source: str,
    published: datetime,
) -> Message:
    """Return the message of a body without envelope; `document` is its JSON, or None."""
    event = document if is_event(document) else _event_in_binary_mode(document, body, attributes)
    if event is not None:
        return message_from_event(event, published, body, attributes)
    data = body if document is None else document
    if _is_batch(document):
        sources = {one["source"] for one in document}
        source = sources.pop() if len(sources) == 1 else text_source
        title = _batch_title(document)
        return Message(source, text_id, BATCH, published, body, data, title=title, attributes=attributes)
    found = recognise(document)
    if found is None:
        return Message(text_source, text_id, TEXT, published, body, data, attributes=attributes)
    return Message(
        source=found.source or text_source,
        id=found.id or text_id,
        type=found.type,
        time=published,
        body=body,
        data=data,
        event_time=found.time,
        title=found.title,
        attributes=attributes,
    )


# ---- CloudEvents


def _check_event(event: Any) -> None:
    """Return if it has the "REQUIRED Attributes" (CloudEvents). Raises NotACloudEvent."""
    if not isinstance(event, dict):
        raise NotACloudEvent("a CloudEvent is a JSON object")
    if event.get("specversion") != "1.0":
        raise NotACloudEvent('specversion must be "1.0"')
    for name in ("id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise NotACloudEvent(f"{name} is required")


def is_event(document: Any) -> bool:
    """Return whether a parsed document is a CloudEvent 1.0 in structured mode."""
    try:
        _check_event(document)
    except NotACloudEvent:
        return False
    return True


def _is_batch(document: Any) -> bool:
    """Return whether this is a batch of CloudEvents ("JSON Batch Format")."""
    return isinstance(document, list) and len(document) > 0 and all(map(is_event, document))


def _batch_title(events: Sequence[Mapping[str, Any]]) -> str:
    types = dict.fromkeys(event["type"] for event in events)
    return f"{len(events)} CloudEvent{'s' * (len(events) > 1)}: {', '.join(types)}"


def binary_mode_names(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the message attributes that are those of an event in binary mode, by what they are of it."""
    for prefix in _BINARY_MODE_PREFIXES:
        names = {
            name.casefold().removeprefix(prefix): name
            for name in attributes
            if name.casefold().startswith(prefix)
        }
        if is_event({own: attributes[name] for own, name in names.items()}):
            return names
    return {}


def _event_in_binary_mode(document: Any, body: str, attributes: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the event of which the attributes are message attributes and the body is the data, or None."""
    names = binary_mode_names(attributes)
    if not names:
        return None
    event: dict[str, Any] = {own: attributes[name] for own, name in names.items()}
    others = {name.casefold(): value for name, value in attributes.items()}
    event.setdefault("datacontenttype", others.get("content-type", "application/json"))
    if event.get("datacontentencoding") == "base64":
        return {**event, "data_base64": body}
    is_json = document is not None and _is_json_type(event["datacontenttype"])
    return {**event, "data": document if is_json else body}


def _decode(data_base64: Any, event: Mapping[str, Any]) -> Any:
    """Return the data of an event in base64: JSON or text if it is that, else bytes."""
    try:
        content = base64.b64decode(data_base64, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return data_base64
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    if _CONTROL.search(text):
        return content
    document = read_json(text) if _is_json_type(event.get("datacontenttype")) else None
    return text if document is None else document


def _is_json_type(content_type: Any) -> bool:
    return isinstance(content_type, str) and _JSON_TYPE.fullmatch(content_type) is not None


def _event_title(event: Mapping[str, Any], data: Any) -> str | None:
    subject = event.get("subject")
    if isinstance(subject, str) and subject:
        return None if _text_member(data) else subject
    if not isinstance(data, bytes):
        return None
    content_type = event.get("datacontenttype")
    kind = f" of {content_type}" if isinstance(content_type, str) and content_type else ""
    return f"{len(data):,} byte{'s' * (len(data) != 1)}{kind}"


def _text_member(data: Any) -> str | None:
    text = data.get("text") if isinstance(data, dict) else None
    return text if isinstance(text, str) else None

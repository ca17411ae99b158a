"""Publishing: the bodies of `POST /api/messages` and `…/exact`."""

import base64
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SkipValidation,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pipeline.aws import OWN_ATTRIBUTES, Topic
from pipeline.fifo import is_fifo
from pipeline.json_text import to_json
from pipeline.message import (
    ORIGINAL_ID,
    TEXT,
    Message,
    message_from_event,
    new_message,
)
from pipeline.problems import Problem
from viewer.api import examples
from viewer.api.checks import Body, check
from viewer.api.models import Absent, QueueName
from viewer.aws.targets import SENDABLE, refusals

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

# With raw delivery only ten reach a queue ("Amazon SNS message attributes").
MAX_ATTRIBUTES = 10 - len(OWN_ATTRIBUTES)
MAX_NAME_LENGTH = 256
MAX_SUBJECT = 100
MAX_GROUP_LENGTH = 128
MAX_DELAY_SECONDS = 900  # "SendMessage", AWS
MAX_SNS_ATTRIBUTES = 10
MAX_DIGITS = 38
MAX_NUMBER = Decimal(10) ** 126
# What Fanout sets anew when it publishes a copy.
SET_ANEW = (*OWN_ATTRIBUTES, ORIGINAL_ID)
NAME = re.compile(r"(?!(aws|amazon)\.)[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE | re.ASCII)

# AWS allows a label after the first three ("Message attribute data types").
TYPE = re.compile(r"String\.Array|(String|Number|Binary)(\.[\w.-]+)?", re.ASCII)

NUMBER = re.compile(
    rf"[+-]?(?=\.?\d)\d{{0,{MAX_DIGITS}}}(\.\d{{0,{MAX_DIGITS}}})?([eE][+-]?\d{{1,3}})?", re.ASCII
)

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _attributes(given: Any) -> "dict[str, MessageAttributeValueTypeDef]":
    if not isinstance(given, dict):
        raise ValueError('attributes should be an object such as {"tenant": "acme", "priority": 5}')
    if len(given) > MAX_ATTRIBUTES:
        raise ValueError(f"attributes should be at most {MAX_ATTRIBUTES}, besides those that Fanout sets")
    if reserved := next((name for name in given if name in SET_ANEW), None):
        raise ValueError(f"{reserved} is an attribute that Fanout sets itself")
    return _exact_attributes(given)


def _exact_attributes(given: Any) -> "dict[str, MessageAttributeValueTypeDef]":
    if not isinstance(given, dict) or len(given) > MAX_SNS_ATTRIBUTES:
        raise ValueError(f"attributes should be an object of at most {MAX_SNS_ATTRIBUTES}")
    if ORIGINAL_ID in given:
        raise ValueError(f"{ORIGINAL_ID} is an attribute that Fanout sets itself")
    return {_attribute_name(name): _attribute(name, value) for name, value in given.items()}


def _attribute_name(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH or not NAME.fullmatch(name):
        raise ValueError(
            f"{name[:MAX_NAME_LENGTH]!r} is no name of an attribute: up to {MAX_NAME_LENGTH} of "
            "A-Z a-z 0-9 _ - with single dots between, not beginning with AWS. or Amazon."
        )
    return name


def _attribute(name: str, value: Any) -> "MessageAttributeValueTypeDef":
    if isinstance(value, dict):
        return _typed_attribute(name, value)
    if isinstance(value, str):
        if not SENDABLE.fullmatch(value):
            raise ValueError(f"{name} needs a value, of characters that XML allows")
        return {"DataType": "String", "StringValue": value}
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"{name} should be a text or a number")
    number = Decimal(value)
    if len(number.as_tuple().digits) > MAX_DIGITS or number.copy_abs() > MAX_NUMBER:
        raise ValueError(f"{name} should be a number of at most {MAX_DIGITS} digits, up to 10^126")
    return {"DataType": "Number", "StringValue": str(value)}


def _typed_attribute(name: str, given: dict[str, Any]) -> "MessageAttributeValueTypeDef":
    kind, value = given.get("type"), given.get("value")
    if given.keys() != {"type", "value"} or not isinstance(kind, str) or not isinstance(value, str):
        raise ValueError(f'{name} should be a text, a number, or such as {{"type": "Number", "value": "5"}}')
    if len(kind) > MAX_NAME_LENGTH or not TYPE.fullmatch(kind):
        raise ValueError(f"{name} should be of type String, Number, Binary or String.Array")
    if not SENDABLE.fullmatch(value):
        raise ValueError(f"{name} needs a value, of characters that XML allows")
    if kind.startswith("Number") and not NUMBER.fullmatch(value):
        raise ValueError(f"{name} is a Number: its value should be one of at most {MAX_DIGITS} digits")
    if not kind.startswith("Binary"):
        return {"DataType": kind, "StringValue": value}
    try:
        return {"DataType": kind, "BinaryValue": base64.b64decode(value, validate=True)}
    except ValueError:
        raise ValueError(f"{name} is Binary: its value should be in base64") from None


def _reference(given: Any) -> str:
    """Return source and id of a message, separated by a space."""
    names = {"source", "id"}
    if not isinstance(given, dict) or given.keys() != names or not all(_is_text(given[one]) for one in names):
        raise ValueError('copy_of should be source and id of a message: {"source": "/shop", "id": "A-1"}')
    return f"{given['source']} {given['id']}"


def _is_text(given: Any) -> bool:
    return isinstance(given, str) and given != ""


NotEmpty = Annotated[str, Field(min_length=1)]
FifoText = Annotated[str, Field(min_length=1, max_length=MAX_GROUP_LENGTH)]
Attributes = Annotated[
    dict[str, Any],
    BeforeValidator(_attributes),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_ATTRIBUTES,
            "additionalProperties": {
                "anyOf": [{"type": "string", "minLength": 1}, {"type": "number"}, {"type": "object"}],
            },
        }
    ),
]

Reference = Annotated[
    str,
    BeforeValidator(_reference),
    WithJsonSchema(
        {
            "type": "object",
            "required": ["source", "id"],
            "properties": {
                "source": {"type": "string", "minLength": 1},
                "id": {"type": "string", "minLength": 1},
            },
            "additionalProperties": False,
        }
    ),
]


class Text(Body):
    """A text. Every other member becomes data, too."""

    text: NotEmpty

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"example": {"text": "hello"}, "not": {"required": ["specversion"]}},
    )


class CloudEvent(Body):
    """A CloudEvent 1.0 in structured mode. It is published exactly as it was written."""

    specversion: Literal["1.0"]
    id: NotEmpty
    source: NotEmpty
    type: NotEmpty
    time: Annotated[
        Any, WithJsonSchema({"type": "string", "format": "date-time"}), Field(description="else, now")
    ] = None
    data: Any = None

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": examples.EVENT})


class WithAttributes(Body):
    """A text or a CloudEvent, and the SNS message attributes to send with it."""

    message: SkipValidation[Text | CloudEvent]
    attributes: Attributes = Field({}, description="by their names; numbers are sent as Number")

    model_config = ConfigDict(json_schema_extra={"example": examples.WITH_ATTRIBUTES})


class ExactBody(Body):
    """A body to be published exactly as it is, with these attributes and no others."""

    body: NotEmpty
    attributes: Annotated[
        dict[str, Any], BeforeValidator(_exact_attributes), WithJsonSchema({"type": "object"})
    ] = Field(
        {},
        description="by their names; numbers are sent as Number, others as String unless the value is "
        '`{"type": …, "value": …}`; those of type Binary are in base64',
    )
    subject: Annotated[str, Field(max_length=MAX_SUBJECT)] = Field("", description="for e-mail, mostly")
    topic: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)] | Absent = Field(
        None, description="name of the SNS topic; else, that of the viewer"
    )
    queue: QueueName | Absent = Field(None, description="name of an SQS queue, instead of a topic")
    group_id: FifoText | Absent = Field(None, description="of a FIFO topic or queue; else, `fanout`")
    deduplication_id: FifoText | Absent = Field(
        None, description="of a FIFO topic or queue; else, one that no other message has"
    )
    delay_seconds: Annotated[int, Field(ge=0, le=MAX_DELAY_SECONDS)] = Field(
        0, description="how long a standard queue hides it at first"
    )
    copy_of: Reference | Absent = Field(
        None, description="the stored message that this is an edited copy of: it will link to it"
    )

    model_config = ConfigDict(json_schema_extra={"example": examples.EXACT})

    @model_validator(mode="after")
    def _is_for_a_topic_or_a_queue(self) -> Self:
        if self.queue is None:
            if self.delay_seconds:
                raise ValueError("delay_seconds is for queues: a topic delivers at once")
            return self
        if self.topic is not None:
            raise ValueError("topic and queue cannot be given both: a message goes to one of them")
        if self.subject:
            raise ValueError("subject is for topics: a message in a queue has none")
        if is_fifo(self.queue):
            if self.delay_seconds:
                raise ValueError("delay_seconds is for standard queues: a FIFO queue has one delay for all")
        elif self.group_id is not None or self.deduplication_id is not None:
            raise ValueError("group_id and deduplication_id are for FIFO queues")
        return self

    @classmethod
    def from_document(cls, document: Any, text: str) -> Self:
        """Return what to publish."""
        if isinstance(document, dict) and "attributes" in document:
            written = _as_written(document, text)["attributes"]
            document = {**document, "attributes": _with_exact_numbers(written)}
        return check(cls, document)


class PublishBody(Body):
    """What to publish."""

    message: Message
    attributes: dict[str, Any]

    media_types = ("application/json", "application/cloudevents+json")

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe what is sent."""
        sent: TypeAdapter[Any] = TypeAdapter(Text | CloudEvent | WithAttributes)
        return {**handler(sent.core_schema), "example": {"text": "hello"}}

    @classmethod
    def from_document(cls, document: Any, text: str) -> Self:
        """Return what to publish."""
        if not _has_attributes(document):
            return cls(message=_message(document, text), attributes={})
        members = _as_written(document, text)
        given = {**document, "attributes": _with_exact_numbers(members.get("attributes", "{}"))}
        attributes = check(WithAttributes, given).attributes
        return cls(message=_message(document["message"], members["message"]), attributes=attributes)


@dataclass(slots=True)
class PublishedExactly:
    """The id that SNS or SQS gave a message."""

    message_id: str

    __pydantic_config__ = ConfigDict(
        json_schema_extra={"example": {"message_id": "6d3c1a86-2a0c-4d0e-8f2e-0f7a1c5f9b1e"}}
    )


@dataclass(slots=True)
class Published:
    """The identity of a message that SNS took."""

    id: str
    source: str

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"id": "A-1", "source": "/shop"}})


def publish(topic: Topic, body: PublishBody) -> Published:
    """Return when SNS has taken the message. Raises the Problem that says why it has not."""
    with refusals():
        refused = topic.publish([body.message], body.attributes)
    if refused:
        raise Problem(400, f"SNS refused the message: {refused[0][1]}")
    return Published(body.message.id, body.message.source)


def _has_attributes(document: Any) -> bool:
    # A text or an event may have a member of that name, too.
    names = set(document) if isinstance(document, dict) else set()
    return "message" in names and names.isdisjoint({"text", "specversion"})


def _message(document: Any, text: str) -> Message:
    if not isinstance(document, dict):
        raise Problem(400, 'a message should be {"text": "…"} or a CloudEvent')
    if "specversion" in document:
        check(CloudEvent, document)
        # As it was written: 64-bit integers and the order of members stay.
        return message_from_event(document, datetime.now(UTC), text)
    check(Text, document)
    return new_message(f"/viewer/{socket.gethostname()}", TEXT, document)


def _as_written(document: Mapping[str, Any], text: str) -> dict[str, str]:
    """Return the members of this document, each as it was written in the text."""
    try:
        return {name: bytes(member).decode() for name, member in _decoder.decode(text).items()}
    except (msgspec.DecodeError, RecursionError):
        # Python's parser accepts more: infinite numbers, deeper documents.
        return {name: to_json(member) for name, member in document.items()}


def _with_exact_numbers(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except ArithmeticError:
        raise Problem(400, "a number is beyond all bounds", parameter="attributes") from None

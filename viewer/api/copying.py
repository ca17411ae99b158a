"""Copies: what was stored, published again. They are made here, from the stored original, which the page may
show masked.
"""

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from pydantic import ConfigDict, Field

from pipeline.aws import Topic, TopicNotFound
from pipeline.envelope import STRING
from pipeline.json_text import read_json
from pipeline.message import (
    COPY_OF,
    ORIGINAL_ID,
    binary_mode_names,
    has_event,
    has_own_identity,
    is_event,
)
from pipeline.problems import Problem
from pipeline.store.copies import Copies
from pipeline.store.reader import Reader, StoredMessage
from viewer.api import examples
from viewer.api.answers import rfc3339
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Parameters
from viewer.api.messages import MessagePath, stored_message
from viewer.api.models import Absent, Accepted
from viewer.api.publish import refusals

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

Identity = Literal["new", "same"]

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class CopyQuery(Parameters):
    """What the copy is to be."""

    identity: Identity | Absent = Field(
        None,
        description="`new`: a CloudEvent with an id of its own; `same`: exactly as it was. Else `new` for "
        "CloudEvents, `same` for all others",
    )


@dataclass(slots=True)
class PublishedCopy:
    """A copy that SNS took."""

    id: Annotated[str | None, Field(description="null: SNS or SQS gives it one")]
    source: Annotated[str | None, Field(description="null: that of its topic or queue")]
    identity: Annotated[Identity, Field(description="new: a CloudEvent with an id of its own; same: exactly")]
    topic: str
    message_id: Annotated[str, Field(description="the id that SNS gave it")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.PUBLISHED_COPY})


@dataclass(frozen=True, slots=True)
class Copy:
    """What to publish; `id` is None if its body and its attributes do not tell one."""

    body: str
    attributes: Mapping[str, str]
    types: Mapping[str, str]
    identity: Identity
    source: str | None
    id: str | None
    names_original: bool = False


def copying_blueprint(reader: Reader, topic: Topic, copies: Copies) -> ApiBlueprint:
    """Return `/api/messages/SEQ/copies`."""
    blueprint = ApiBlueprint("copying", __name__, about="Publish a message again", prefix="/api/messages")

    @blueprint.post("/<int:seq>/copies", responses=problems(404, 409))
    def resend_message(path: MessagePath, query: CopyQuery) -> Accepted[PublishedCopy]:
        """Publish a copy of a message.

        The same body, with the same attributes, their types and the subject, to the topic that the message is
        from. A CloudEvent gets an id and a time of its own and names its original, unless `identity` is
        `same`: then it is the same message, and consumers take it as another delivery. Values that REDACT
        masks are published as they were.
        """
        return Accepted(publish_copy(topic, copies, stored_message(reader, path.seq), query.identity))

    return blueprint


def publish_copy(
    topic: Topic, copies: Copies, message: StoredMessage, identity: Identity | None
) -> PublishedCopy:
    """Publish a copy to the topic that the message is from, or to this one if that is not known.

    A copy of a CloudEvent gets an id of its own unless `identity` is same; anything else is published exactly
    as it was. Raises the Problem that says why it was not published.
    """
    with _reasons(message.seq):
        copy = _copy(message, identity)
        attributes = {name: _typed(name, text, copy.types) for name, text in copy.attributes.items()}
    to = _origin(topic, message)
    # What has the identity of its original is the same message, delivered once more.
    is_known = copy.names_original or (copy.identity == "same" and copy.id is not None)
    original = None if is_known else f"{message.source} {message.id}"
    with linked(copies, copy.body, copy.attributes, original), refusals():
        message_id = to.publish_exact(copy.body, attributes, message.subject, message.group_id)
    return PublishedCopy(copy.id, copy.source, copy.identity, to.name, message_id)


@contextlib.contextmanager
def linked(copies: Copies, body: str, attributes: Mapping[str, str], original: str | None) -> Iterator[None]:
    """Record what is published within as a copy of this original, its source and id; None for no record."""
    record = None if original is None else copies.begin(body, attributes, original)
    try:
        yield
    except Problem as problem:
        # Without an answer of SNS, it may have been published all the same.
        if record is not None and problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            copies.cancel(record)
        raise


def named_topic(topic: Topic, name: str) -> Topic:
    """Return the topic of this name. Raises a Problem if there is none."""
    found = topic.named(name)
    with refusals():
        try:
            found.arn  # noqa: B018 - it is looked up
        except TopicNotFound:
            raise Problem(409, f"there is no topic {name}") from None
    return found


def _origin(topic: Topic, message: StoredMessage) -> Topic:
    if message.topic is None:
        return topic
    found = named_topic(topic, message.topic)
    if message.topic_arn not in (None, found.arn):
        raise Problem(409, f"message {message.seq} is from {message.topic_arn}, which is not {found.arn}")
    return found


@contextlib.contextmanager
def _reasons(seq: int) -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise Problem(409, f"message {seq} cannot be copied: {error}") from None


def _copy(message: StoredMessage, identity: Identity | None) -> Copy:
    if len(message.body.encode()) != message.size:
        raise ValueError("its body contains characters that the store cannot hold")
    attributes = {name: text for name, text in message.attributes.items() if name != ORIGINAL_ID}
    exact = Copy(message.body, attributes, message.attribute_types or {}, "same", None, None)
    if has_own_identity(message.body, attributes):
        exact = replace(exact, source=message.source, id=message.id)
    can_be_new = has_event(message.body, attributes)
    if identity == "new" and not can_be_new:
        raise ValueError("it is no CloudEvent, so it cannot get a new id")
    if identity == "same" or not can_be_new:
        return exact
    return _as_new_event(exact, f"{message.source} {message.id}")


def _as_new_event(copy: Copy, original: str) -> Copy:
    """Return the same with another id and time, and in its structured mode with the name of its original."""
    own = {"id": str(uuid.uuid4()), "time": rfc3339(datetime.now(UTC))}
    new = replace(copy, identity="new", id=own["id"])
    if is_event(read_json(copy.body)):
        return replace(new, body=_with_members(copy.body, {**own, COPY_OF: original}), names_original=True)
    names = binary_mode_names(copy.attributes)
    changed = {names[part]: value for part, value in own.items() if part in names}
    return replace(new, attributes={**copy.attributes, **changed})


def _with_members(body: str, changed: Mapping[str, str]) -> str:
    """Return the text of an object with these members, in which everything else is as it was written."""
    members = {name: bytes(member).decode() for name, member in _decoder.decode(body).items()}
    members |= {name: json.dumps(value) for name, value in changed.items()}
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in members.items())}}}"


def _typed(name: str, text: str, types: Mapping[str, str]) -> "MessageAttributeValueTypeDef":
    """Return an attribute as it was sent: binary values are stored in base64."""
    kind = types.get(name, STRING)
    if not text:
        raise ValueError(f"its attribute {name} has no value; MiniStack loses those of type Binary")
    if not kind.startswith("Binary"):
        return {"DataType": kind, "StringValue": text}
    try:
        return {"DataType": kind, "BinaryValue": base64.b64decode(text, validate=True)}
    except ValueError:
        raise ValueError(f"its attribute {name} is not in base64") from None

"""Copies: messages published again. They are made here, from the stored original, which the page may show
masked.
"""

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

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
from pipeline.store.reader import StoredMessage
from viewer.aws.targets import Target, Targets, refusals
from viewer.formatting import rfc3339

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

# new: a CloudEvent with an id of its own; same: exactly as it was.
Identity: TypeAlias = Literal["new", "same"]

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class CannotCopy(Exception):
    """There is no copy of this message; the text says why."""


@dataclass(frozen=True, slots=True)
class Original:
    """What is copied of a message; see StoredMessage. `size` is that of the body in bytes, as it was sent."""

    source: str
    id: str
    body: str
    size: int
    attributes: Mapping[str, str]
    attribute_types: Mapping[str, str] | None
    topic: str | None
    topic_arn: str | None
    subject: str | None
    group_id: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A copy that was published. `id` and `source` are None if it is given them where it arrives."""

    id: str | None
    source: str | None
    identity: Identity
    to: str
    message_id: str


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


def original_of(message: StoredMessage) -> Original:
    """Return what is copied of a stored message."""
    return Original(**{name: getattr(message, name) for name in Original.__slots__})


class Copier:
    """Publishes copies."""

    def __init__(self, targets: Targets, copies: Copies) -> None:
        """Send no request yet."""
        self._targets, self._copies = targets, copies

    def publish(self, message: Original, identity: Identity | None, to: Target | None = None) -> Sent:
        """Publish a copy to this target, else to where the message came from.

        That is its topic, or the pipeline's own if it is not known. A copy of a CloudEvent gets an id of its
        own unless `identity` is same; anything else is published exactly as it was. Raises CannotCopy, and
        the Problem that says why it was not published; with status 503, it may have been all the same.
        """
        try:
            copy = _copy(message, identity)
            attributes = {name: _typed(name, text, copy.types) for name, text in copy.attributes.items()}
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise CannotCopy(str(error)) from None
        to = to or self._origin(message)
        # What has the identity of its original is the same message, delivered once more.
        is_known = copy.names_original or (copy.identity == "same" and copy.id is not None)
        original = None if is_known else f"{message.source} {message.id}"
        with linked(self._copies, copy.body, copy.attributes, original), refusals():
            message_id = to.publish_exact(copy.body, attributes, message.subject, message.group_id)
        return Sent(copy.id, copy.source, copy.identity, to.name, message_id)

    def _origin(self, message: Original) -> Target:
        found = self._targets.topic(message.topic or self._targets.own_topic.name)
        if message.topic and message.topic_arn not in (None, found.arn):
            raise CannotCopy(f"it is from {message.topic_arn}, which is not {found.arn}")
        return found


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


def _copy(message: Original, identity: Identity | None) -> Copy:
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

"""Publishing: what the body of `POST /api/messages` asks for, and what SNS says to it."""

import json
import re
import socket
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from flask import request

from pipeline.aws import OWN_ATTRIBUTES, Topic
from pipeline.message import ORIGINAL_ID, TEXT, Message, NotACloudEvent, message_from_event, new_message
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from viewer.api.parameters import json_body

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

    from pipeline.aws import Attributes

# With raw delivery ten are all that reach a queue ("Amazon SNS message attributes").
MOST_ATTRIBUTES = 10 - len(OWN_ATTRIBUTES)
LONGEST_NAME = 256
MOST_DIGITS = 38
LARGEST_NUMBER = Decimal(10) ** 126
NAME = re.compile(r"(?!(aws|amazon)\.)[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE | re.ASCII)
# What SNS and SQS take as text: the characters of XML 1.0.
VALUE = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def message_from_request() -> "tuple[Message, Attributes]":
    """Return what to publish: a text or a CloudEvent, by itself or as `message` beside `attributes`."""
    document = json_body("application/cloudevents+json")
    text = request.get_data(as_text=True)
    if not _has_attributes(document):
        return _message(document, text), {}
    members = _as_written(text)
    for name in members.keys() - {"message", "attributes"}:
        raise Problem(400, f"{name} is not known beside message and attributes", parameter=name)
    message = _message(document["message"], members["message"])
    return message, _attributes(members.get("attributes", "{}"))


def publish(topic: Topic, message: Message, attributes: "Attributes") -> None:
    """Return when SNS has taken it; raises the Problem that says why it has not."""
    try:
        refused = topic.publish([message], attributes)
    except ClientError as error:
        raise Problem(_status_for(error.response["Error"]["Code"]), explain(error)) from None
    except AWS_ERRORS as error:
        raise Problem(503, f"SNS does not take messages now: {explain(error)}") from None
    if refused:
        raise Problem(400, f"SNS refused the message: {refused[0][1]}")


def _has_attributes(document: Any) -> bool:
    # A text or an event may have a field of that name, too.
    names = set(document) if isinstance(document, dict) else set()
    return "message" in names and names.isdisjoint({"text", "specversion"})


def _message(document: Any, text: str) -> Message:
    if not isinstance(document, dict):
        raise Problem(400, 'a message should be {"text": "…"} or a CloudEvent')
    if "specversion" in document:
        try:
            # As it was written: 64-bit integers and the order of keys stay.
            return message_from_event(document, datetime.now(UTC), text)
        except NotACloudEvent as error:
            raise Problem(400, str(error)) from None
    words = document.get("text")
    if not isinstance(words, str) or not words:
        raise Problem(400, "text should be a text that is not empty", parameter="text")
    return new_message(f"/viewer/{socket.gethostname()}", TEXT, document)


def _as_written(text: str) -> dict[str, str]:
    """Return the members of this JSON object, each as the text that it stands there as."""
    decoder = json.JSONDecoder()
    members = {}
    at = _skip(text, "{", 0)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        begin = _skip(text, ":", at)
        _, end = decoder.raw_decode(text, begin)
        members[name] = text[begin:end]
        at = _skip(text, ",", end)
    return members


def _skip(text: str, sign: str, at: int) -> int:
    while text[at].isspace() or text[at] == sign:
        at += 1
    return at


def _attributes(text: str) -> "Attributes":
    try:
        given = json.loads(text, parse_float=Decimal)
    except ArithmeticError:
        raise _wrong_attribute("a number is beyond all bounds") from None
    if not isinstance(given, dict):
        raise _wrong_attribute('attributes should be an object such as {"tenant": "acme", "priority": 5}')
    if len(given) > MOST_ATTRIBUTES:
        raise _wrong_attribute(f"there should be at most {MOST_ATTRIBUTES} attributes beside ours")
    return {_checked_name(name): _attribute(name, value) for name, value in given.items()}


def _checked_name(name: str) -> str:
    if name in (*OWN_ATTRIBUTES, ORIGINAL_ID):
        raise _wrong_attribute(f"{name} is an attribute that Fanout sets itself")
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise _wrong_attribute(
            f"{name[:LONGEST_NAME]!r} is no name of an attribute: up to {LONGEST_NAME} of A-Z a-z 0-9 _ - "
            "with single dots between, not beginning with AWS. or Amazon."
        )
    return name


def _attribute(name: str, value: Any) -> "MessageAttributeValueTypeDef":
    if isinstance(value, str):
        if not VALUE.fullmatch(value):
            raise _wrong_attribute(f"{name} should be a text that is not empty, of characters that XML has")
        return {"DataType": "String", "StringValue": value}
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _wrong_attribute(f"{name} should be a text or a number")
    number = Decimal(value)
    if len(number.as_tuple().digits) > MOST_DIGITS or number.copy_abs() > LARGEST_NUMBER:
        raise _wrong_attribute(f"{name} should be a number of at most {MOST_DIGITS} digits, up to 10^126")
    return {"DataType": "Number", "StringValue": str(value)}


def _wrong_attribute(detail: str) -> Problem:
    return Problem(400, detail, parameter="attributes")


def _status_for(code: str) -> int:
    """Return 400 where AWS says that the message is at fault ("Publish", AWS), else 503."""
    return 400 if code.startswith(("Invalid", "BatchRequestTooLong", "ParameterValueInvalid")) else 503

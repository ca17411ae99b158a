"""What SNS says of a message beside its body, and the envelope in which it says so.

Without raw delivery SNS wraps each message in a notification ("HTTP/HTTPS notification JSON format", AWS).
With raw delivery only body and attributes arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.formats import parse_time

# SNS tries to deliver to a queue for so long ("Amazon SNS message delivery retries").
RETRY_PERIOD = timedelta(days=23)
STRING = "String"  # the type of an attribute that states none
_MEMBERS = {
    *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "MessageAttributes"),
    *("SignatureVersion", "Signature", "SigningCertURL", "SigningCertUrl"),
    *("UnsubscribeURL", "UnsubscribeUrl", "SequenceNumber"),
}


@dataclass(frozen=True, slots=True)
class Publication:
    """How a message was published; None where that is unknown.

    `topic` is the topic's name, `message_id` the id that SNS gave it. `attribute_types` are as AWS names
    them (`String`, `Number`, `Binary`, `String.Array`). `group_id`, `deduplication_id` and `sequence_number`
    are those of FIFO topics and queues.
    """

    topic: str | None = None
    topic_arn: str | None = None
    message_id: str | None = None
    subject: str | None = None
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    group_id: str | None = None
    deduplication_id: str | None = None
    sequence_number: str | None = None


UNKNOWN = Publication()


def is_notification(document: Any) -> bool:
    """Return whether a parsed body is an envelope of SNS.

    A document with other members is none: unwrapping would drop them.
    """
    return (
        isinstance(document, dict)
        and document.get("Type") == "Notification"
        and all(isinstance(document.get(name), str) for name in ("Message", "MessageId", "TopicArn"))
        and document.keys() <= _MEMBERS
    )


def topic_name(arn: str) -> str:
    """Return the name at the end of a topic's ARN."""
    return arn.rpartition(":")[2]


def publication_in(notification: Mapping[str, Any], known: Publication) -> Publication:
    """Return what a notification says of its message, beside what SQS says of it.

    Of the two sequence numbers that of the queue counts.
    """
    arn, number = notification["TopicArn"], notification.get("SequenceNumber")
    subject = notification.get("Subject")
    types = {
        name: given["Type"] if isinstance(given.get("Type"), str) else STRING
        for name, given in _attributes(notification)
    }
    return replace(
        known,
        topic=topic_name(arn) or None,
        topic_arn=arn,
        message_id=notification["MessageId"],
        subject=subject if isinstance(subject, str) and subject else None,
        attribute_types={**types, **known.attribute_types},
        sequence_number=known.sequence_number or (str(number) if isinstance(number, str | int) else None),
    )


def attributes_in(notification: Mapping[str, Any]) -> dict[str, str]:
    """Return the message attributes that a notification lists; binary ones in base64."""
    return {name: given["Value"] for name, given in _attributes(notification)}


def _attributes(notification: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    attributes = notification.get("MessageAttributes")
    if not isinstance(attributes, dict):
        return []
    return [
        (name, given)
        for name, given in attributes.items()
        if isinstance(given, dict) and isinstance(given.get("Value"), str)
    ]


def taken_by_sns(timestamp: Any, taken_by_sqs: datetime) -> datetime:
    """Return when SNS took a message, if that can be true, else when SQS took it."""
    time = parse_time(timestamp)
    is_credible = time is not None and taken_by_sqs - RETRY_PERIOD <= time <= taken_by_sqs
    return time if time is not None and is_credible else taken_by_sqs

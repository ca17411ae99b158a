"""What the API answers, as values. Members that this version does not know are left out."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message.

    `data` is its payload: JSON, text or, if it is binary, bytes. `body` is the text as published. `time` is
    when SNS or SQS took it, `event_time` the time that it states itself. `status` is None for a message that
    succeeded at the first try. `attribute_types` are those of SNS (String, Number, …); they, `topic` and
    `subject` are None where they are unknown.
    """

    seq: int
    source: str
    id: str
    type: str
    time: datetime
    event_time: datetime | None
    preview: str
    data: Any
    body: str
    attributes: Mapping[str, str]
    status: str | None
    tries: int
    queue: str | None = None
    topic: str | None = None
    subject: str | None = None
    attribute_types: Mapping[str, str] | None = None

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Return the message of an answer with `include=data`."""
        binary = answer.get("data_base64")
        return cls(
            seq=answer["seq"],
            source=answer["source"],
            id=answer["id"],
            type=answer["type"],
            time=datetime.fromisoformat(answer["time"]),
            event_time=datetime.fromisoformat(answer["event_time"]) if answer["event_time"] else None,
            preview=answer["preview"],
            data=answer["data"] if binary is None else base64.b64decode(binary),
            body=answer["body"],
            attributes=answer["attributes"],
            status=answer["status"],
            tries=answer["tries"],
            # Older viewers do not know these.
            queue=answer.get("queue"),
            topic=answer.get("topic"),
            subject=answer.get("subject"),
            attribute_types=answer.get("attribute_types"),
        )


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A message that came close: `failed` is the condition that it missed, `actual` what it has instead."""

    failed: str
    actual: str
    seq: int
    type: str
    preview: str

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Return the near miss of an answer."""
        message = answer["message"]
        return cls(answer["failed"], answer["actual"], message["seq"], message["type"], message["preview"])


@dataclass(frozen=True, slots=True)
class Published:
    """The identity of a message that was published."""

    id: str
    source: str

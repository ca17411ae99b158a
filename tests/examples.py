"""Messages for tests, as they arrive from SQS."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.message import Delivery, Message, message_from_delivery


def arrival(
    data: Any = "hello",
    *,
    type: str = "test.message",  # noqa: A002 - CloudEvents' word
    source: str = "/tests",
    time: datetime | None = None,
    attributes: Mapping[str, str] | None = None,
    receive_count: int = 1,
    id: str | None = None,  # noqa: A002 - CloudEvents' word
) -> tuple[Message, Delivery]:
    """Return a message published now, or at `time`, with the delivery that brings it."""
    now = datetime.now(UTC)
    event = {
        "specversion": "1.0",
        "id": id or uuid.uuid4().hex,
        "source": source,
        "type": type,
        "time": (time or now).isoformat(),
        "data": data,
    }
    return raw_arrival(
        json.dumps(event, ensure_ascii=False), time=now, attributes=attributes, receive_count=receive_count
    )


def raw_arrival(
    body: str,
    *,
    time: datetime | None = None,
    attributes: Mapping[str, str] | None = None,
    receive_count: int = 1,
) -> tuple[Message, Delivery]:
    """Return whatever the text of an SQS message becomes."""
    now = time or datetime.now(UTC)
    delivery = Delivery(
        message_id=str(uuid.uuid4()),
        receipt_handle="handle",
        body=body,
        receive_count=receive_count,
        sent_at=now,
        received_at=now,
        attributes=attributes or {},
    )
    return message_from_delivery(delivery, "tests"), delivery

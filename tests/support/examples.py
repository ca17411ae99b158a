"""Messages for tests, as they arrive from SQS."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.message import Delivery, message_from_body
from tests.support.stores import QUEUE


def arrival(
    data: Any = "hello",
    *,
    type: str = "test.message",  # noqa: A002 - CloudEvents' word
    source: str = "/tests",
    time: datetime | None = None,
    event_time: datetime | None = None,
    attributes: Mapping[str, str] | None = None,
    receive_count: int = 1,
    id: str | None = None,  # noqa: A002 - CloudEvents' word
    queue: str = QUEUE,
) -> Delivery:
    """Return the delivery of a message that is sent now, or at `time`; it states this or `event_time`."""
    now = time or datetime.now(UTC)
    event = {
        "specversion": "1.0",
        "id": id or uuid.uuid4().hex,
        "source": source,
        "type": type,
        "time": (event_time or now).isoformat(),
        "data": data,
    }
    return raw_arrival(
        json.dumps(event, ensure_ascii=False),
        time=now,
        attributes=attributes,
        receive_count=receive_count,
        queue=queue,
    )


def raw_arrival(
    body: str,
    *,
    time: datetime | None = None,
    attributes: Mapping[str, str] | None = None,
    receive_count: int = 1,
    queue: str = QUEUE,
) -> Delivery:
    """Return the delivery of whatever the text of an SQS message becomes."""
    now = time or datetime.now(UTC)
    message_id = str(uuid.uuid4())
    return Delivery(
        message=message_from_body(
            body,
            text_id=message_id,
            text_source="/sqs/tests",
            published=now,
            attributes=attributes or {},
        ),
        queue=queue,
        message_id=message_id,
        receipt_handle="handle",
        receive_count=receive_count,
        sent_at=now,
        received_at=now,
    )


def arrived_again(delivery: Delivery) -> Delivery:
    """Return a delivery of the same message by another message of SQS: it was published twice."""
    now = datetime.now(UTC)
    return replace(delivery, message_id=str(uuid.uuid4()), sent_at=now, received_at=now)

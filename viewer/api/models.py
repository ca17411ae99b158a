"""What the API says of a message: the JSON that lists, the stream and the detail answer with."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

from flask import Response

from pipeline.message import read_data
from pipeline.store.reader import NearMiss, StoredMessage, Summary

SUMMARY_FIELDS = tuple(field.name for field in dataclasses.fields(Summary))


def summary_view(message: Summary) -> dict[str, Any]:
    """Return the summary; times are RFC 3339 in UTC, durations are seconds."""
    return {name: _view(getattr(message, name)) for name in SUMMARY_FIELDS}


def whole_view(message: StoredMessage) -> dict[str, Any]:
    """Return the summary and, of the message: its document, its data, and the delivery that stored it."""
    return {
        **summary_view(message),
        "data": read_data(message.body),
        "body": message.body,
        "attributes": message.attributes,
        "deliveries": [
            {
                "message_id": message.message_id,
                "receive_count": message.receive_count,
                "sent_at": _view(message.sent_at),
                "received_at": _view(message.received_at),
                "stored_at": _view(message.stored_at),
            }
        ],
    }


def near_miss_view(miss: NearMiss) -> dict[str, Any]:
    """Return the message and the first condition that it does not meet."""
    return {"failed": miss.failed, "message": summary_view(miss.message)}


def plain(value: Any) -> Any:
    """Return a dataclass, or one value, as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _view(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _view(value)


def json_answer(value: Any, status: int = 200) -> Response:
    """Return an answer of JSON that nobody keeps."""
    text = json.dumps(value, separators=(",", ":"))
    return Response(text, status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _view(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value

"""Writing answers as JSON."""

import functools
import json
from dataclasses import fields
from datetime import datetime
from typing import Any

from flask import Response

from viewer.formatting import rfc3339


def to_json(answer: Any) -> str:
    """Return a dataclass, or what holds some, as JSON. Times are RFC 3339 in UTC with microseconds.

    The standard library's encoder, because pydantic's refuses what messages may contain: halves of surrogate
    pairs, and more than 255 levels.
    """
    return json.dumps(answer, default=_plain, separators=(",", ":"))


def json_answer(answer: Any, status: int = 200) -> Response:
    """Return the answer as JSON that nobody caches."""
    headers = {"Cache-Control": "no-store"}
    return Response(to_json(answer), status, mimetype="application/json", headers=headers)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    return {member: getattr(value, name) for member, name in _members(type(value))}  # type: ignore[arg-type]


@functools.cache
def _members(answer_type: type) -> list[tuple[str, str]]:
    """Return the names of its members in JSON and in Python, where `from_` stands for `from`."""
    return [(field.name.rstrip("_"), field.name) for field in fields(answer_type)]

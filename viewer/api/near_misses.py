"""Near misses in words: what stands where a search wants something else, short enough for a failed test."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.message import to_json
from viewer.api.answers import rfc3339
from viewer.api.models import NearMiss, WholeMessage

MAX_SHOWN = 80  # characters of a value
MAX_VALUES = 3
MAX_VISITED = 10_000

_NAMED = re.compile(r"([A-Za-z_][\w.\-]*):(?!//).+", re.DOTALL)


def explain_miss(condition: str, message: WholeMessage) -> str:
    """Return how a message fails to meet a condition of a search, which is as the reader typed it."""
    if condition.startswith("-"):
        return f"it matches {condition[1:]}"
    named = _NAMED.fullmatch(condition)
    if not named:
        return f"it does not contain {condition}"
    key = named[1].casefold()
    if key in ("type", "source", "id"):
        return f"{key} is {_short(getattr(message, key))}"
    if key in ("after", "before"):
        return f"it was sent at {rfc3339(message.time)}"
    if key in ("larger", "smaller"):
        return f"its size is {message.size}"
    return f"status is {message.status}" if key == "status" else _explain_field(named[1], message)


def report(query: str, wanted: int, found: int, seconds: int, misses: Sequence[NearMiss]) -> str:
    """Return what was found and what came closest, two lines for each, for the output of a failed test."""
    many = f"{found} of {wanted} messages" if wanted > 1 else "No message"
    lines = [f"{many} matched {query or 'the search'} within {seconds} s."]
    for miss in misses:
        one = miss.message
        lines.append(f"- message {one.seq} ({_short(one.type)}: {_short(one.preview)})")
        lines.append(f"  missed {miss.failed}: {miss.actual}")
    return "\n".join(lines)


def _explain_field(name: str, message: WholeMessage) -> str:
    root, _, path = name.casefold().partition(".")
    if root == "attr" and path:
        found = [value for key, value in message.attributes.items() if key.casefold() == path]
    else:
        found = list(_values_at(message.data, path if root == "data" and path else name.casefold()))
    shown = ", ".join(_short(value) for value in found[:MAX_VALUES])
    more = ", …" if len(found) > MAX_VALUES else ""
    return f"{name} is {shown}{more}" if found else f"it has no {name}"


def _values_at(data: Any, path: str) -> Iterator[Any]:
    """Yield the values at a path, in lower case. Arrays add nothing to it, and names may contain dots."""
    waiting = [(data, path)]
    for _ in range(MAX_VISITED):
        if not waiting:
            return
        value, rest = waiting.pop()
        if isinstance(value, list):
            waiting.extend((inner, rest) for inner in reversed(value[:MAX_VISITED]))
        elif not rest:
            yield value
        elif isinstance(value, dict):
            for name, inner in reversed(value.items()):
                key = name.casefold()
                if rest == key or rest.startswith(f"{key}."):
                    waiting.append((inner, rest[len(key) + 1 :]))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else to_json(value)
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…"

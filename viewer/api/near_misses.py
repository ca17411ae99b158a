"""Near misses in words: what stands where a search wants something else, short enough for a failed test."""

import re
from collections.abc import Sequence
from itertools import islice

from pipeline.search.syntax import Group, parse
from viewer.api.models import NearMiss, WholeMessage
from viewer.fields import OWN_FIELDS, field_values
from viewer.formatting import rfc3339

MAX_SHOWN = 80  # characters of a value
MAX_VALUES = 3

_NAMED = re.compile(r"([A-Za-z_][\w.\-]*):(?!//).+", re.DOTALL)


def explain_miss(condition: str, message: WholeMessage) -> str:
    """Return how a message fails to meet a condition of a search, which is as the reader typed it."""
    if condition.startswith("-"):
        return f"it matches {condition[1:]}"
    if condition.startswith("("):
        return _explain_brackets(condition, message)
    named = _NAMED.fullmatch(condition)
    return _explain_named(named[1], message) if named else f"it does not contain {condition}"


def _explain_named(name: str, message: WholeMessage) -> str:
    key = name.casefold()
    if key in ("type", "source", "id", *OWN_FIELDS):
        own = getattr(message, key)
        return f"it has no {key}" if own is None else f"{key} is {_short(own)}"
    if key in ("after", "before"):
        return f"it was sent at {rfc3339(message.time)}"
    if key in ("larger", "smaller"):
        return f"its size is {message.size}"
    return f"status is {message.status}" if key == "status" else _explain_field(name, message)


def _explain_brackets(condition: str, message: WholeMessage) -> str:
    [[group]] = parse(condition)
    assert isinstance(group, Group)
    if len(group.inner) == 1:
        return "it does not meet all of these"
    alone = [side[0].text for side in group.inner if len(side) == 1]
    if len(alone) < len(group.inner) or any("(" in text for text in alone):
        return "it meets none of these"
    told = [explain_miss(text, message) for text in alone[:MAX_VALUES]]
    return ", and ".join(dict.fromkeys(told)) + (", …" if len(alone) > MAX_VALUES else "")


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
    found = list(islice(field_values(name, message.data, message.attributes), MAX_VALUES + 1))
    shown = ", ".join(_short(value) for value in found[:MAX_VALUES])
    more = ", …" if len(found) > MAX_VALUES else ""
    return f"{name} is {shown}{more}" if found else f"it has no {name}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…"

"""What a filter policy sees of a message: the values of its fields.

"Message attributes", "Filter policy constraints" and "Key matching", Amazon SNS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.json_text import MAX_DIGITS, read_json
from viewer.aws.filter_policy.operators import Number, Scalar
from viewer.aws.filter_policy.policy import Scope

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\s*", re.ASCII)


class TooMuch(Exception):
    """Evaluating would take too long."""


class Budget:
    """How many values and comparisons one answer may take: messages and policies may be made to be slow."""

    def __init__(self, steps: int = 200_000) -> None:
        """Begin with so many steps, about a tenth of a second."""
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises TooMuch when none are left."""
        self._left -= steps
        if self._left < 0:
            raise TooMuch


@dataclass(frozen=True, slots=True)
class Found:
    """A field of a message: its values, of which an array has several; `ignored` says why it has none."""

    exists: bool
    values: tuple[Scalar, ...] = ()
    ignored: str | None = None


@dataclass(frozen=True)
class MessageFields:
    """A message as filter policies see it. `attributes` are types and values by name."""

    body: str
    attributes: Mapping[str, tuple[str, str]]

    @cached_property
    def document(self) -> dict[str, Any] | None:
        """The body, if it is a JSON object."""
        document = read_json(self.body)
        return document if isinstance(document, dict) else None

    @cached_property
    def has_attributes(self) -> bool:
        """Whether there is an attribute that a policy does not ignore."""
        return any(not _is_binary(kind) for kind, _ in self.attributes.values())

    def find(self, scope: Scope, path: str, budget: Budget) -> Found:
        """Return the field of this path. Raises TooMuch."""
        if scope == "MessageAttributes":
            return self._attribute(path, budget)
        values = _values_at(self.document, path, budget)
        return Found(bool(values), values)

    def _attribute(self, name: str, budget: Budget) -> Found:
        if name not in self.attributes:
            return Found(False)
        kind, text = self.attributes[name]
        if _is_binary(kind):
            return Found(False, ignored="Binary, which filter policies ignore")
        if kind in ("String.Array", "Number.Array"):
            document = read_json(text)
            if not isinstance(document, list):
                return Found(True, ignored=f"a {kind} that is no JSON array")
            budget.spend(len(document))
            return Found(True, tuple(one for one in document if not isinstance(one, list | dict)))
        if kind.partition(".")[0] != "Number":
            return Found(True, (text,))
        number = _read_number(text)
        return Found(True, ignored="a Number that is none") if number is None else Found(True, (number,))


def _is_binary(kind: str) -> bool:
    return kind.partition(".")[0] == "Binary"


def _read_number(text: str) -> Number | None:
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def _values_at(document: Any, path: str, budget: Budget) -> tuple[Scalar, ...]:
    """Return the values at a path; arrays add nothing to it, and names that contain dots count as paths."""
    names, found = path.split("."), []
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, begin = waiting.pop()
        budget.spend(1)
        if isinstance(value, list):
            budget.spend(len(value))
            waiting += [(inner, begin) for inner in reversed(value)]
        elif isinstance(value, dict):
            for end in range(len(names), begin, -1):
                name = ".".join(names[begin:end])
                if name in value:
                    waiting.append((value[name], end))
        elif begin == len(names):
            found.append(value)
    return tuple(found)

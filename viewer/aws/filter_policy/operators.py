"""The operators of filter policies: which values each takes, and what it wants in words.

"String value matching", "Numeric value matching" and "Key matching", Amazon SNS. Values are those of JSON: a
text, a number, true, false or null, and each is compared only with its own kind. Numbers are told apart up to
five digits after the decimal point, as AWS does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from operator import eq, ge, gt, le, lt
from typing import Final, Protocol, TypeAlias, TypeGuard

from pipeline.json_text import to_json

Scalar: TypeAlias = str | int | float | bool | None
Number: TypeAlias = int | float

DIGITS = 5  # after the decimal point ("Filter policy constraints", Amazon SNS)
MAX_NUMBER = 1_000_000_000  # AWS compares numbers up to this; greater ones are compared exactly
MAX_SHOWN = 80  # characters of a value in words
MAX_LISTED = 3  # values of a list in words

COMPARISONS: Final[dict[str, Callable[[Number, Number], bool]]] = {
    "=": eq,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


class Condition(Protocol):
    """What a filter policy asks of one value."""

    def takes(self, value: Scalar) -> bool:
        """Return whether this value meets the condition."""

    def wants(self) -> str:
        """Return what the condition wants, as the object of a sentence."""


def is_number(value: object) -> TypeGuard[Number]:
    """Return whether this is a number of JSON; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def show(value: Scalar) -> str:
    """Return a value as JSON on one line, cut if it is long."""
    text = to_json(value if not isinstance(value, str) else " ".join(value[: MAX_SHOWN * 2].split()))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def listed(words: list[str], count: int, last: str, comma: str = ", ") -> str:
    """Return the first of `count` words in a row; `last` is "and" or "or".

    Of the words, only those that are shown need be given: MAX_LISTED and one more.
    """
    row = [*words[:MAX_LISTED], f"{count - MAX_LISTED:,} more"] if count > MAX_LISTED else words
    return f" {last} ".join([comma.join(row[:-1]), row[-1]]) if len(row) > 1 else row[0]


def _rounded(number: Number) -> Number:
    return round(number, DIGITS) if abs(number) <= MAX_NUMBER else number


def _key(value: Scalar) -> tuple[str, Scalar]:
    """Return what is equal for values that AWS holds to be equal."""
    return ("number", _rounded(value)) if is_number(value) else (type(value).__name__, value)


@dataclass(frozen=True, slots=True)
class Exactly:
    """The value itself."""

    value: Scalar

    def takes(self, value: Scalar) -> bool:
        """Return whether it is this value, and of its kind."""
        return _key(value) == _key(self.value)

    def wants(self) -> str:
        """Return the value."""
        return show(self.value)


@dataclass(frozen=True, slots=True)
class AnythingBut:
    """Any value except some: these, or those that a condition takes."""

    values: tuple[Scalar, ...] = ()
    conditions: tuple[Condition, ...] = ()
    _keys: frozenset[tuple[str, Scalar]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the values quick to find: there may be thousands."""
        object.__setattr__(self, "_keys", frozenset(map(_key, self.values)))

    def takes(self, value: Scalar) -> bool:
        """Return whether it is a value, and none of those."""
        if value is None or _key(value) in self._keys:
            return False
        return not any(condition.takes(value) for condition in self.conditions)

    def wants(self) -> str:
        """Return what it does not want."""
        if self.conditions:
            words = [condition.wants() for condition in self.conditions[: MAX_LISTED + 1]]
        else:
            words = [show(value) for value in self.values[: MAX_LISTED + 1]]
        return f"anything but {listed(words, len(self.conditions or self.values), 'or')}"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A text that begins with another."""

    text: str

    def takes(self, value: Scalar) -> bool:
        """Return whether it begins so."""
        return isinstance(value, str) and value.startswith(self.text)

    def wants(self) -> str:
        """Return how it begins."""
        return f"a text that begins with {show(self.text)}"


@dataclass(frozen=True, slots=True)
class Suffix:
    """A text that ends with another."""

    text: str

    def takes(self, value: Scalar) -> bool:
        """Return whether it ends so."""
        return isinstance(value, str) and value.endswith(self.text)

    def wants(self) -> str:
        """Return how it ends."""
        return f"a text that ends with {show(self.text)}"


@dataclass(frozen=True, slots=True)
class EqualsIgnoreCase:
    """A text in any letter case."""

    text: str

    def takes(self, value: Scalar) -> bool:
        """Return whether it is this text but for letter case."""
        return isinstance(value, str) and value.lower() == self.text.lower()

    def wants(self) -> str:
        """Return the text."""
        return f"{show(self.text)} in any letter case"


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A text of these parts, in order, with anything between them."""

    pattern: str
    parts: tuple[str, ...]

    def takes(self, value: Scalar) -> bool:
        """Return whether the parts are found one after the other, from the beginning to the end."""
        if not isinstance(value, str):
            return False
        first, *between = self.parts
        if not between:
            return value == first
        last = between.pop()
        if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
            return False
        begin, end = len(first), len(value) - len(last)
        for part in between:
            found = value.find(part, begin, end)
            if found < 0:
                return False
            begin = found + len(part)
        return True

    def wants(self) -> str:
        """Return the pattern."""
        return f"a text like {show(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Cidr:
    """An IP address of a network."""

    network: IPv4Network | IPv6Network

    def takes(self, value: Scalar) -> bool:
        """Return whether it is the text of an address in the network."""
        try:
            return isinstance(value, str) and ip_address(value) in self.network
        except ValueError:
            return False

    def wants(self) -> str:
        """Return the network."""
        return f"an IP address in {self.network}"


@dataclass(frozen=True, slots=True)
class Numeric:
    """A number within limits: one or two pairs of a sign and a number."""

    limits: tuple[tuple[str, Number], ...]

    def takes(self, value: Scalar) -> bool:
        """Return whether it is a number, and within the limits."""
        return is_number(value) and all(
            COMPARISONS[sign](_rounded(value), _rounded(limit)) for sign, limit in self.limits
        )

    def wants(self) -> str:
        """Return the limits."""
        return f"a number {' and '.join(f'{sign} {show(limit)}' for sign, limit in self.limits)}"


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether the message has such a field at all, which no value of it can tell."""

    wanted: bool

    def takes(self, value: Scalar) -> bool:
        """Return whether this value counts as one: null and an empty text do not."""
        return self.wanted and value is not None and value != ""

    def wants(self) -> str:
        """Return whether it is wanted."""
        return "any value" if self.wanted else "none"

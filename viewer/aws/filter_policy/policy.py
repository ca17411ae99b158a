"""Parsing filter policies: the JSON of a subscription as a tree of conditions.

"Subscription filter policies", "AND/OR logic" and "Filter policy constraints", Amazon SNS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, Literal, TypeAlias

from pipeline.json_text import read_json
from viewer.aws.filter_policy.operators import (
    COMPARISONS,
    AnythingBut,
    Cidr,
    Condition,
    EqualsIgnoreCase,
    Exactly,
    Exists,
    Numeric,
    Prefix,
    Scalar,
    Suffix,
    Wildcard,
    is_number,
    show,
)

Scope: TypeAlias = Literal["MessageAttributes", "MessageBody"]

# "Filter policy constraints", Amazon SNS: 256 KB, and 150 combinations of conditions.
MAX_CHARACTERS = 256 * 1024
MAX_CONDITIONS = 150
MAX_DEPTH = 50

OR = "$or"
# An array of alternatives that uses one of these as the name of a field is no array of alternatives.
RESERVED: Final = frozenset(
    {"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}
)


class PolicyError(Exception):
    """The filter policy is malformed; the text says where and how."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the message and the conditions of which its values must meet one."""

    path: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Alternatives (`$or`), of which one must be met."""

    alternatives: tuple["AllOf", ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Parts that must all be met, in the order in which they were written."""

    parts: tuple["Field | AnyOf", ...]


@dataclass(frozen=True, slots=True)
class FilterPolicy:
    """A filter policy; one without conditions takes every message."""

    scope: Scope
    root: AllOf


def parse_policy(text: str, scope: Scope = "MessageAttributes") -> FilterPolicy:
    """Return a policy that can be asked of messages. Raises PolicyError."""
    if len(text) > MAX_CHARACTERS:
        raise PolicyError("the policy is larger than 256 KB")
    document = read_json(text)
    if document is None:
        raise PolicyError("the policy is not JSON")
    if not isinstance(document, dict):
        raise PolicyError("the policy is not a JSON object")
    root = AllOf(tuple(_parts(document, scope, "", 1)))
    if _count(root) > MAX_CONDITIONS:
        raise PolicyError(f"the policy has more than {MAX_CONDITIONS} conditions")
    return FilterPolicy(scope, root)


def _parts(members: dict[str, Any], scope: Scope, path: str, depth: int) -> Iterator[Field | AnyOf]:
    if depth > MAX_DEPTH:
        raise PolicyError(f"the policy is nested more than {MAX_DEPTH} levels deep")
    for name, value in members.items():
        inner = f"{path}.{name}" if path else name
        if inner.count(".") >= MAX_DEPTH:  # also of one name, since it counts as a path
            raise PolicyError(f"{name_of(inner)}: a path of more than {MAX_DEPTH} names")
        if name == OR and _is_alternatives(value):
            yield AnyOf(tuple(AllOf(tuple(_parts(one, scope, path, depth + 1))) for one in value))
        elif isinstance(value, dict):
            if scope == "MessageAttributes":
                raise PolicyError(f"{name_of(inner)}: a policy on message attributes cannot be nested")
            yield from _parts(value, scope, inner, depth + 1)
        elif isinstance(value, list):
            if not value:
                raise PolicyError(f"{name_of(inner)}: the array is empty")
            yield Field(inner, tuple(_condition(inner, one) for one in value))
        else:
            raise PolicyError(f"{name_of(inner)}: neither an array nor an object")


def _is_alternatives(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(one, dict) and RESERVED.isdisjoint(one) for one in value)
    )


def _count(part: Field | AnyOf | AllOf) -> int:
    if isinstance(part, Field):
        return len(part.conditions)
    return sum(map(_count, part.parts if isinstance(part, AllOf) else part.alternatives))


def name_of(path: str) -> str:
    """Return the path of a field as it is shown: quoted and cut if it could be mistaken for other words."""
    return path if path.isprintable() and 0 < len(path) <= 80 else show(path)


def _condition(path: str, written: Any) -> Condition:
    if _is_scalar(written):
        return Exactly(written)
    try:
        operator, operand = _operator(written)
        return PARSERS[operator](operand)
    except PolicyError as error:
        raise PolicyError(f"{name_of(path)}: {error}") from None


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _operator(written: Any) -> tuple[str, Any]:
    if not isinstance(written, dict):
        raise PolicyError("a condition is a value, or an object with an operator")
    if len(written) != 1:
        raise PolicyError("a condition has one operator")
    [(operator, operand)] = written.items()
    if operator not in PARSERS:
        raise PolicyError(f"{show(operator)} is no operator")
    return operator, operand


def _text(operator: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise PolicyError(f"{operator} needs a text")
    return operand


def _exists(operand: Any) -> Condition:
    if not isinstance(operand, bool):
        raise PolicyError("exists needs true or false")
    return Exists(operand)


def _cidr(operand: Any) -> Condition:
    text = _text("cidr", operand)
    try:
        return Cidr(ip_network(text, strict=False))
    except ValueError:
        raise PolicyError("cidr needs a range of IP addresses, such as 10.0.0.0/24") from None


def _wildcard(operand: Any) -> Condition:
    # As in EventBridge, a backslash takes the next sign literally ("Matching using wildcards", EventBridge).
    pattern = _text("wildcard", operand)
    parts, is_literal = [""], False
    for sign in pattern:
        if sign == "\\" and not is_literal:
            is_literal = True
        elif sign == "*" and not is_literal:
            parts.append("")
        else:
            parts[-1] += sign
            is_literal = False
    return Wildcard(pattern, tuple(parts))


def _numeric(operand: Any) -> Condition:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise PolicyError('numeric needs a sign and a number, or a range such as [">", 0, "<=", 150]')
    limits = tuple(zip(operand[::2], operand[1::2], strict=True))
    for sign, limit in limits:
        if not isinstance(sign, str) or sign not in COMPARISONS:
            raise PolicyError(f"numeric: the sign must be one of {' '.join(COMPARISONS)}")
        if not is_number(limit):
            raise PolicyError(f"numeric: there is no number after {sign}")
    if len(limits) == 2:
        (lower, bottom), (upper, top) = limits
        if lower not in (">", ">=") or upper not in ("<", "<=") or bottom >= top:
            raise PolicyError("numeric: a range begins with > or >=, and ends with < or <= a greater number")
    return Numeric(limits)


def _anything_but(operand: Any) -> Condition:
    if isinstance(operand, dict):
        operator, inner = _operator(operand)
        if operator not in EXCLUDING:
            raise PolicyError(f"anything-but: {operator} is not possible in it")
        texts = inner if isinstance(inner, list) else [inner]
        if not texts:
            raise PolicyError(f"anything-but: {operator} needs a text")
        return AnythingBut(conditions=tuple(PARSERS[operator](one) for one in texts))
    values: list[Scalar] = operand if isinstance(operand, list) else [operand]
    if not values or not all(isinstance(one, str) or is_number(one) for one in values):
        raise PolicyError("anything-but needs texts or numbers")
    return AnythingBut(tuple(values))


# "Event pattern comparison operators", EventBridge, has equals-ignore-case and lists as well: Amazon SNS
# evaluates policies with the same engine, but does not document these.
EXCLUDING: Final = ("prefix", "suffix", "wildcard", "equals-ignore-case")

PARSERS: Final[dict[str, Callable[[Any], Condition]]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": lambda operand: EqualsIgnoreCase(_text("equals-ignore-case", operand)),
    "exists": _exists,
    "numeric": _numeric,
    "prefix": lambda operand: Prefix(_text("prefix", operand)),
    "suffix": lambda operand: Suffix(_text("suffix", operand)),
    "wildcard": _wildcard,
}

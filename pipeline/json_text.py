"""JSON texts: reading any that a queue can carry, and writing them."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

# What nests deeper is read as text: no two parsers agree on how deep JSON may be, and Python's limit depends
# on its version and on who calls it.
MAX_DEPTH = 200
MAX_DIGITS = 4300  # a longer integer is read as text ("Integer string conversion length limitation", Python)

# Brackets; arrays and objects without others in them, as a whole; and strings, so that brackets in them do
# not count. A string need not end, and nothing backtracks, so that no text is read again and again.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_NESTING = re.compile(rf'[\[{{](?:[^\[\]{{}}"]++|{_STRING})*+[\]}}]|[\[\]{{}}]|{_STRING}', re.DOTALL)


def read_json(text: str) -> Any:
    """Return the value of a JSON text, or None if it is not JSON.

    What every JSON parser can read of it: arrays and objects more than MAX_DEPTH levels deep, integers longer
    than MAX_DIGITS and floats beyond the range of a double become their text.
    """
    try:
        return _DECODER.decode(_flatten(text))
    except ValueError:
        return None


def to_json(value: Any) -> str:
    """Return compact JSON, without escapes if it can be encoded in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if _is_utf8(text) else json.dumps(value, separators=(",", ":"))


def _flatten(text: str) -> str:
    """Return JSON in which what nests too deep is a string that holds its text. Raises ValueError."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:  # nearly always
        return text
    parts, end = [], 0
    for begin, stop in _too_deep(text):
        parts += [text[end:begin], json.dumps(text[begin:stop])]
        end = stop
    return "".join([*parts, text[end:]])


def _too_deep(text: str) -> Iterator[tuple[int, int]]:
    """Yield where arrays and objects below the deepest level begin and end."""
    depth, begin = 0, 0
    for token in _NESTING.finditer(text):
        start, end = token.span()
        sign = text[start]
        if sign in "[{" and end - start > 1:
            if depth == MAX_DEPTH:
                yield start, end
        elif sign in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                begin = start
        elif sign in "]}":
            depth -= 1
            if depth == MAX_DEPTH:
                yield begin, end
    if depth > MAX_DEPTH:
        raise ValueError("the end is missing")


def _read_integer(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text


def _read_float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODER = json.JSONDecoder(parse_int=_read_integer, parse_float=_read_float, parse_constant=_refuse_constant)

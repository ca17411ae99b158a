"""Reading parameters and bodies of requests: each is checked, and what is wrong is a 400 that names it."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from flask import request

from pipeline.problems import Problem
from pipeline.search.grammar import SearchError, parse_search
from pipeline.search.sql import Search, equal, published

LARGEST_SEQ = 2**63 - 1

SEARCH_PARAMETERS = ("q", "source", "type", "since", "until")


def refuse_unknown(*known: str) -> None:
    """Refuse parameters that would be ignored: a misspelt filter must not look like one that matched all."""
    for name in request.args:
        if name not in known:
            known_names = ", ".join(known)
            raise Problem(400, f"{name} is not a parameter here; these are: {known_names}", parameter=name)


def search() -> Search:
    """Return the search that SEARCH_PARAMETERS ask for together."""
    try:
        found = parse_search(request.args.get("q", ""), datetime.now(UTC))
    except SearchError as error:
        raise Problem(400, str(error), parameter="q") from None
    for name in ("source", "type"):
        value = request.args.get(name)
        if value is not None:
            found &= equal(name, value)
    return found & published(since=time("since"), until=time("until"))


def json_body(*types: str) -> Any:
    """Return the document that the body is; `types` are allowed beside application/json."""
    allowed = ("application/json", *types)
    # A page of another origin cannot send these types without asking first, and nothing here would allow it.
    if request.mimetype not in allowed:
        raise Problem(415, f"Content-Type should be {' or '.join(allowed)}")
    try:
        return json.loads(request.get_data(as_text=True))
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def flag(name: str) -> bool:
    """Return whether the parameter is 1 (or true), not 0 (or false) or absent."""
    value = request.args.get(name, "0")
    if value not in ("0", "1", "false", "true"):
        raise Problem(400, f"{name} should be 0 or 1", parameter=name)
    return value in ("1", "true")


def number(name: str, *, default: int, least: int = 1, most: int) -> int:
    """Return the parameter as a whole number from `least` to `most`."""
    value = _whole_number(request.args.get(name), least=least, most=most, name=name, what="a whole number")
    return default if value is None else value


def cursor(name: str, value: str | None) -> int | None:
    """Return the seq that `value`, the parameter or header of that name, is; None if it is absent."""
    return _whole_number(value, least=0, most=LARGEST_SEQ, name=name, what="the seq of a message")


def time(name: str) -> datetime | None:
    """Return the parameter as a time, None if it is absent."""
    value = request.args.get(name)
    if value is None:
        return None
    try:
        # In a query string an unescaped + means a space.
        parsed = datetime.fromisoformat(value.replace(" ", "+"))
        # PostgreSQL knows no zone further from UTC than 15:59.
        found = parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        detail = f"{name} should be a time with its zone (RFC 3339), such as 2026-01-31T12:00:00Z"
        raise Problem(400, detail, parameter=name)
    return found


def _whole_number(value: str | None, *, least: int, most: int, name: str, what: str) -> int | None:
    if value is None:
        return None
    # int() alone would take " 1_0 " and digits of other scripts, and refuse long numbers in its own words.
    number = int(value) if re.fullmatch(r"[0-9]{1,19}", value) else -1
    if not least <= number <= most:
        raise Problem(400, f"{name} should be {what}, from {least} to {most}", parameter=name)
    return number

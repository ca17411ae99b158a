"""The grammar of a search: what a person types, as the page's box, the API's `q` and the stream take it."""

import difflib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg import sql

from pipeline.message import storable
from pipeline.redaction import NO_MASK, Mask
from pipeline.search.sql import (
    STATUSES,
    Condition,
    Search,
    either,
    has_term,
    opposite,
    published,
)
from pipeline.search.syntax import Alternatives, Node, SearchError, Token, Word, parse, tokens
from pipeline.search.terms import field_term, split_words
from pipeline.search.visible import visible_field, visible_text, visible_word

MAX_SEARCH_LENGTH = 1_000
MAX_CONDITIONS = 30
MAX_SCANS = 12
# Words of a phrase that are looked up in the index. Its text is compared anyway; more would only cost.
MAX_PHRASE_WORDS = 8

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_SIZE = re.compile(r"(\d{1,12})([km]?)b?", re.IGNORECASE)
_OWN_FIELDS = ("type", "source", "id", "topic", "queue", "copyof")
_EXAMPLES = {
    "type": "shop.order",
    "source": "/shop",
    "id": "A-1",
    "topic": "orders",
    "queue": "orders-audit",
    "subject": '"An order"',
    "copyof": '"/shop A-1"',
    "status": "dead",
    "before": "2026-01-31",
    "after": "15m",
    "larger": "1k",
    "smaller": "2m",
}
_MISSPELT = {"or": "OR", "and": "", "AND": ""}
_CHANGING = ("status",)  # a stored message may start or stop matching these
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZES = {"": 1, "k": 1024, "m": 1024 * 1024}


def parse_search(text: str, now: datetime, mask: Mask) -> Search:
    """Return the search that the text asks for; `now` is what `after:15m` counts from.

    It matches nothing that the mask hides. Raises SearchError.
    """
    if len(text) > MAX_SEARCH_LENGTH:
        raise SearchError(f"a search has at most {MAX_SEARCH_LENGTH:,} characters")
    alternatives = parse(text)
    if _count(alternatives) > MAX_CONDITIONS:
        raise SearchError(f"a search has at most {MAX_CONDITIONS} conditions")
    search = _search(f"({text.strip()})", alternatives, now, mask)
    if search.scans > MAX_SCANS:
        kinds = "words and fields (with REDACT)" if mask else "phrases and words with punctuation"
        raise SearchError(f"a search has at most {MAX_SCANS} {kinds}")
    return search


def suggest(text: str) -> str | None:
    """Return the search with misspelt operators (`typ:`, `or`) corrected, None if none looks misspelt."""
    corrected, end = "", 0
    for token in tokens(text):
        part = _correct(token)
        corrected += text[end : token.start] + part if part else ""
        end = token.start + len(token.text)
    corrected = corrected.strip()
    if corrected in (text, ""):
        return None
    try:
        parse(corrected)
    except SearchError:
        return None
    return corrected


def _correct(token: Token) -> str:
    word = token.word
    if word is None:
        return token.text
    if word.text in _MISSPELT:
        return _MISSPELT[word.text]
    name = word.name
    if not name or name.lower() in _EXAMPLES or name.startswith(("data.", "attr.")):
        return token.text
    close = difflib.get_close_matches(name.lower(), _EXAMPLES, n=1, cutoff=0.7)
    return token.text.replace(name, close[0], 1) if close else token.text


def _count(alternatives: Alternatives) -> int:
    nodes = (node for side in alternatives for node in side)
    return sum(1 if isinstance(node, Word) else _count(node.inner) for node in nodes)


def _search(text: str, alternatives: Alternatives, now: datetime, mask: Mask) -> Search:
    searches = [Search(tuple(_condition(node, now, mask) for node in side)) for side in alternatives]
    return searches[0] if len(searches) == 1 else Search((either(text, searches),))


def _condition(node: Node, now: datetime, mask: Mask) -> Condition:
    if isinstance(node, Word):
        found = _word_condition(node, now, mask)
    else:
        found = either(node.text, [_search(node.text, node.inner, now, mask)])
    return opposite(found) if node.negated else found


def _word_condition(word: Word, now: datetime, mask: Mask) -> Condition:
    name, value = word.name, word.value
    if name is None and not word.quoted and value.endswith(":") and value[:-1] in _EXAMPLES:
        raise SearchError(f"{value} needs a value, e.g. {value}{_EXAMPLES[value[:-1]]}")
    # With REDACT, words and fields are looked for in what is visible of the text.
    scans = not _is_term(value) or bool(mask) if name is None else bool(mask) and _is_of_content(name)
    found = _words(value, mask, quoted=word.quoted) if name is None else _named(name, value, now, mask)
    lasting = name is None or name.lower() not in _CHANGING
    return Condition(word.text, found, lasting, scans, _terms(word, now) if scans else None)


def _terms(word: Word, now: datetime) -> sql.Composable | None:
    """Return what the index can answer of a condition that scans."""
    if word.name is not None:
        return _named(word.name, word.value, now, NO_MASK)
    terms = _indexed(word.value, NO_MASK, quoted=word.quoted)
    return sql.SQL(" AND ").join(terms) if terms else None


def _is_of_content(name: str) -> bool:
    return name.lower() not in _EXAMPLES or name.lower() == "subject"


def _named(name: str, value: str, now: datetime, mask: Mask) -> sql.Composable:
    key = name.lower()
    if key in ("before", "after"):
        return published(**{"until" if key == "before" else "since": _time(key, value, now)}).sql
    if key in ("larger", "smaller"):
        if mask:
            raise SearchError(f"{key}: cannot be used with REDACT: a size tells the length of what is masked")
        comparison = sql.SQL("m.size > {}" if key == "larger" else "m.size < {}")
        return comparison.format(sql.Literal(_size(key, value)))
    if key == "status":
        return _status(value)
    if key in _OWN_FIELDS:
        prefix = value.endswith("*")
        return has_term(field_term(name, value[:-1] if prefix else value), prefix)
    if key == "subject":
        return _field(key, value, mask, masked_as="data.subject")
    return _field(key if key.startswith(("data.", "attr.")) else f"data.{key}", value, mask)


def _field(name: str, value: str, mask: Mask, masked_as: str | None = None) -> sql.Composable:
    if mask.hides(masked_as or name):
        raise SearchError(f"{name}: is masked (REDACT), so it cannot be searched for")
    prefix = value.endswith("*")
    text = field_term(name, value[:-1] if prefix else value)
    found = has_term(text, prefix)
    return visible_field(found, name, text, mask, prefix=prefix) if mask else found


def _status(value: str) -> sql.Composable:
    if value.lower() not in STATUSES:
        raise SearchError(f"status:{value} is not known; these are: {', '.join(STATUSES)}")
    return sql.SQL(STATUSES[value.lower()])


def _time(name: str, value: str, now: datetime) -> datetime:
    ago = _DURATION.fullmatch(value)
    try:
        if ago:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        time = datetime.fromisoformat(value)
        # PostgreSQL accepts no offset beyond 15:59.
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        examples = "2026-01-31, 2026-01-31T12:00Z or 15m"
        raise SearchError(f"{name}:{value} should be a time or how long ago, such as {examples}") from None


def _size(name: str, value: str) -> int:
    size = _SIZE.fullmatch(value)
    if not size:
        raise SearchError(f"{name}:{value} should be a size in bytes, such as 500, 1k or 2m")
    return int(size[1]) * _SIZES[size[2].lower()]


def _is_term(value: str) -> bool:
    """Return whether it is one plain word. Of anything else, order and punctuation matter too."""
    return split_words(value) == [value.casefold()]


def _words(value: str, mask: Mask, *, quoted: bool) -> sql.Composable:
    found = _indexed(value, mask, quoted=quoted)
    if not _is_term(value):
        found.append(_contains(value, mask))
    return sql.SQL(" AND ").join(found)


def _indexed(value: str, mask: Mask, *, quoted: bool) -> list[sql.Composable]:
    words = split_words(value)
    return [_word(word, mask, prefix=not quoted and word == words[-1]) for word in _most_telling(words)]


def _most_telling(words: list[str]) -> list[str]:
    """Return the first and the last word, which the text alone does not show to be whole, and the longest."""
    ends = dict.fromkeys(words[:1] + words[-1:])
    others = sorted(dict.fromkeys(word for word in words if word not in ends), key=len, reverse=True)
    return [*ends, *others[: MAX_PHRASE_WORDS - len(ends)]]


def _word(word: str, mask: Mask, *, prefix: bool) -> sql.Composable:
    found = has_term(word, prefix)
    return visible_word(found, word, mask, prefix=prefix) if mask else found


def _contains(value: str, mask: Mask) -> sql.Composable:
    # JSON may escape characters of other scripts, and must escape quotes.
    ways = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    places = [
        sql.SQL("strpos(t.text, lower({})) > 0").format(sql.Literal(storable(way))) for way in sorted(ways)
    ]
    in_body: sql.Composable = sql.SQL("({})").format(sql.SQL(" OR ").join(places))
    if mask:
        in_body = visible_text(storable(value), in_body, mask)
    own: LiteralString = "m.type, m.source, m.id" if mask else "m.type, m.source, m.id, m.subject"
    named = sql.SQL(f"strpos(lower(concat_ws(' ', {own})), lower({{}})) > 0")
    return sql.SQL("({} OR {})").format(in_body, named.format(sql.Literal(storable(value))))

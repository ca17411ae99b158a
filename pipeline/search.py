"""Search: what a person types, as conditions on stored messages, and the terms by which those are found.

Each message is stored with its terms, in one column under one index: a `tsvector` under GIN, filled by us and
not by PostgreSQL's parser of prose, which takes ids and numbers apart differently wherever they stand:

- each word of its data, type, source and id: `hello`;
- each field, as path and value: `type=shop.order`, `attr.tenant=acme`, `data.order.id=42`. Arrays add nothing
  to a path: `data.items.sku=7` finds a message where any item has it.

Terms know no upper case. A word typed finds every word that begins with it; a field must be equal, unless the
value ends in `*`. What has no terms of its own (a phrase, punctuation) is looked for in the text of those
messages that have all its words.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain, islice
from typing import Any, LiteralString

from psycopg import sql

from pipeline.message import Message, storable

# A tsvector holds 1 MiB and a lexeme 2,046 bytes. A message that has more terms than these is found by the
# first of them.
MOST_TERMS = 5_000
MOST_TERM_BYTES = 500_000
MOST_TERMS_READ = 50_000
LONGEST_TERM = 200
DEEPEST_FIELD = 20

LONGEST_SEARCH = 1_000
MOST_CONDITIONS = 30

# Scripts that write no spaces: each sign is a word, so that a word can be found inside a sentence.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_TOKEN = re.compile(r'(-)?(?:([A-Za-z_][\w.\-]*):(?!//))?(?:"((?:[^"\\]|\\.)*)"?|(\S+))')
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_SIZE = re.compile(r"(\d{1,12})([km]?)b?", re.IGNORECASE)
_OWN_FIELDS = ("type", "source", "id", "copyof")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZES = {"": 1, "k": 1024, "m": 1024 * 1024}


class SearchError(ValueError):
    """The search means nothing; the text says which part, and what would."""


# Of `failures f`: it lies in the dead-letter queue.
IS_DEAD: LiteralString = (
    "(f.dead_at IS NOT NULL AND f.resolved_at IS NULL"
    " AND (f.redriven_at IS NULL OR f.redriven_at < f.dead_at))"
)
# Of `duplicates d`, a further delivery of m: it was not the next try after a failure.
IS_DUPLICATE: LiteralString = """NOT EXISTS (
    SELECT FROM failures f
    WHERE f.identity = m.identity AND f.first_failed_at < d.received_at
                                  AND (f.resolved_at IS NULL OR f.resolved_at > d.received_at))"""


def _statuses(fence: LiteralString) -> dict[str, LiteralString]:
    own: LiteralString = "SELECT FROM failures f WHERE f.identity = m.identity AND"
    dead: LiteralString = f"EXISTS ({own} {IS_DEAD} {fence})"
    return {
        "dead": dead,
        # It will be tried again.
        "failed": f"(EXISTS ({own} f.resolved_at IS NULL {fence}) AND NOT {dead})",
        "duplicate": f"EXISTS (SELECT FROM duplicates d WHERE d.seq = m.seq AND {IS_DUPLICATE} {fence})",
        "retried": f"""(m.receive_count > 1
                        OR EXISTS ({own} (f.tries > 1 OR f.resolved_at IS NOT NULL) {fence}))""",
    }


# What became of a message, by the names that `status:` knows; several may be true of one.
STATUSES = _statuses(fence="")
# The same for describing a few messages: the planner looks for each, and does not gather all failures first.
STATUSES_OF_FEW = _statuses(fence="OFFSET 0")


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a search: the text that asked for it, and the SQL (of `messages m`) that tells.

    Unless it is `lasting`, a message may come to meet it, or cease to, after it was stored.
    """

    text: str
    sql: sql.Composable
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Search:
    """Which messages are wanted: those that meet every condition, so all of them if there is none."""

    conditions: tuple[Condition, ...] = ()

    def __and__(self, other: "Search") -> "Search":
        """Return the search for what both find."""
        return Search(self.conditions + other.conditions)

    @property
    def sql(self) -> sql.Composable:
        """The condition, of `messages m`."""
        parts = [condition.sql for condition in self.conditions]
        return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")

    @property
    def lasting(self) -> bool:
        """Whether what it finds now it will always find."""
        return all(condition.lasting for condition in self.conditions)


EVERYTHING = Search()


# ---- what is typed


def parse_search(text: str, now: datetime) -> Search:
    """Return the search that the text asks for; `now` is what `after:15m` counts from. Raises SearchError."""
    if len(text) > LONGEST_SEARCH:
        raise SearchError(f"a search has at most {LONGEST_SEARCH:,} characters")
    # A lone minus is the beginning of a condition that is still being typed.
    tokens = (token for token in _TOKEN.finditer(text) if token.group() != "-")
    conditions = [_condition(token, now) for token in tokens]
    if len(conditions) > MOST_CONDITIONS:
        raise SearchError(f"a search has at most {MOST_CONDITIONS} conditions")
    return Search(tuple(conditions))


def equal(name: str, value: str) -> Search:
    """Return the search for messages whose `type`, `source` or `id` is exactly this."""
    exact = sql.SQL("m.{} = {}").format(sql.Identifier(name), sql.Literal(storable(value)))
    found = sql.SQL("({} AND {})").format(_has_term(_field_term(name, value)), exact)
    return Search((Condition(f"{name}:{value}", found),))


def copies_of(source: str, id: str) -> Search:  # noqa: A002 - CloudEvents' word
    """Return the search for messages that say they are copies of this one."""
    original = f"{source} {id}"
    return Search((Condition(f"copyof:{original}", _has_term(_field_term("copyof", original))),))


def published(since: datetime | None = None, until: datetime | None = None) -> Search:
    """Return the search for messages published at `since` or later, and before `until`."""
    conditions = []
    if since is not None:
        after = sql.SQL("m.time >= {}").format(sql.Literal(since))
        conditions.append(Condition(f"after:{since.isoformat()}", after))
    if until is not None:
        before = sql.SQL("m.time < {}").format(sql.Literal(until))
        conditions.append(Condition(f"before:{until.isoformat()}", before))
    return Search(tuple(conditions))


def _condition(token: re.Match[str], now: datetime) -> Condition:
    negated, name, phrase, word = token.groups()
    if phrase is not None:
        phrase = re.sub(r"\\(.)", r"\1", phrase)
    if (
        name is None
        and word is not None
        and re.fullmatch(rf"({'|'.join(_OWN_FIELDS)}|status|before|after):", word)
    ):
        raise SearchError(f"{word} lacks a value")
    value = word if phrase is None else phrase
    found = _words(value, quoted=phrase is not None) if name is None else _named(name, value, now)
    if negated:
        found = sql.SQL("NOT ({})").format(found)
    return Condition(token.group(), found, lasting=name is None or name.lower() != "status")


def _named(name: str, value: str, now: datetime) -> sql.Composable:
    key = name.lower()
    if key in ("before", "after"):
        return published(**{"until" if key == "before" else "since": _time(key, value, now)}).sql
    if key in ("larger", "smaller"):
        comparison = sql.SQL("m.size > {}" if key == "larger" else "m.size < {}")
        return comparison.format(sql.Literal(_size(key, value)))
    if key == "status":
        return _status(value)
    if key not in _OWN_FIELDS and not key.startswith(("data.", "attr.")):
        name = f"data.{name}"
    if value.endswith("*"):
        return _has_term(_field_term(name, value[:-1]), prefix=True)
    return _has_term(_field_term(name, value))


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
        # PostgreSQL knows no zone further from UTC than 15:59.
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        examples = "2026-01-31, 2026-01-31T12:00Z or 15m"
        raise SearchError(f"{name}:{value} should be a time or how long ago, such as {examples}") from None


def _size(name: str, value: str) -> int:
    size = _SIZE.fullmatch(value)
    if not size:
        raise SearchError(f"{name}:{value} should be a size in bytes, such as 500, 1k or 2m")
    return int(size[1]) * _SIZES[size[2].lower()]


def _words(value: str, quoted: bool) -> sql.Composable:
    words = _split(value)
    found = [_has_term(word, prefix=not quoted and word == words[-1]) for word in words]
    # One plain word is its term; of anything else the order and the signs in between count too.
    if words != [value.casefold()]:
        found.append(_contains(value))
    return sql.SQL(" AND ").join(found)


def _contains(value: str) -> sql.Composable:
    # JSON may write signs of other scripts, and must write quotes, as escapes.
    ways = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    places = [
        sql.SQL("strpos(lower(m.body), lower({})) > 0").format(sql.Literal(storable(way)))
        for way in sorted(ways)
    ]
    named = sql.SQL("strpos(lower(concat_ws(' ', m.type, m.source, m.id)), lower({})) > 0")
    places.append(named.format(sql.Literal(storable(value))))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(places))


def _has_term(term: str, prefix: bool = False) -> sql.Composable:
    quoted = term.replace("\\", "\\\\").replace("'", "''")
    query = f"'{quoted}'" + (":*" if prefix else "")
    return sql.SQL("m.terms @@ {}::tsquery").format(sql.Literal(query))


# ---- what is stored


def index_terms(message: Message, attributes: Mapping[str, str]) -> list[str]:
    """Return the terms by which a message is found, each once."""
    own = {"type": message.type, "source": message.source, "id": message.id}
    terms = [_field_term(name, value) for name, value in own.items()]
    terms += [_field_term(f"attr.{name}", value) for name, value in attributes.items()]
    if message.copy_of:
        terms.append(_field_term("copyof", message.copy_of))
    for value in own.values():
        terms += _split(value)
    return _bounded(chain(terms, _data_terms(message.data)))


def _data_terms(data: Any) -> Iterator[str]:
    # A stack, not recursion: data may nest deeper than Python's own.
    waiting: list[tuple[str, int, Any]] = [("data", 0, data)]
    while waiting:
        path, depth, value = waiting.pop()
        if isinstance(value, dict):
            for name, inner in reversed(value.items()):
                waiting.append((f"{path}.{name}" if depth < DEEPEST_FIELD else path, depth + 1, inner))
            for name in value:
                yield from _split(name)
        elif isinstance(value, list):
            waiting.extend((path, depth, inner) for inner in reversed(value))
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            if 0 < depth <= DEEPEST_FIELD:
                yield _field_term(path, text)
            yield from _split(text)


def _split(text: str) -> list[str]:
    # Nothing that PostgreSQL refuses is a word, so these need no escape.
    return [word[:LONGEST_TERM] for word in _WORD.findall(text.casefold())]


def _field_term(name: str, value: str) -> str:
    term = storable(f"{name}={value}".casefold())
    if len(term) <= LONGEST_TERM:
        return term
    return term[: LONGEST_TERM - 40] + hashlib.sha1(term.encode(), usedforsecurity=False).hexdigest()


def _bounded(terms: Iterable[str]) -> list[str]:
    """Return each once, the first ones if they are too many."""
    kept = list(dict.fromkeys(islice(terms, MOST_TERMS_READ)))[:MOST_TERMS]
    if 4 * sum(map(len, kept)) <= MOST_TERM_BYTES:  # no character takes more
        return kept
    sizes = accumulate(len(term.encode()) for term in kept)
    return [term for term, size in zip(kept, sizes, strict=True) if size <= MOST_TERM_BYTES]

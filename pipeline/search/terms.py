"""Terms: the words and fields by which a stored message is found.

Each message is stored with its terms, in one column under one index: a `tsvector` under GIN, filled by this
module and not by PostgreSQL's parser, which is made for prose and splits ids and numbers inconsistently:

- each word of its data, type, source, id, subject and title: `hello`;
- each field, as path and value: `type=shop.order`, `attr.tenant=acme`, `data.order.id=42`. Arrays add nothing
  to a path: `data.items.sku=7` finds a message where any item has that value.

Terms are lower case. What has no term of its own (a phrase, punctuation) is looked for in the text of the
messages that have all its words.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, islice
from typing import Any

from pipeline.message import Message, storable

# A tsvector holds 1 MiB and a lexeme 2,046 bytes. A message with more terms is found by the first of them.
MAX_TERMS = 5_000
MAX_TERM_BYTES = 500_000
MAX_TERMS_READ = 50_000
MAX_TERM_LENGTH = 200
MAX_FIELD_DEPTH = 20
# A search cannot name a longer one. It is repeated for every value below it.
MAX_PATH_LENGTH = 1_100

# Scripts that write no spaces: each character is a word, so that a word can be found inside a sentence.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def index_terms(message: Message, attributes: Mapping[str, str], queue: str) -> list[str]:
    """Return the terms by which a message that this queue brought is found, each once."""
    own = {"type": message.type, "source": message.source, "id": message.id}
    subject, topic = message.publication.subject, message.publication.topic
    more = {"queue": queue, "topic": topic, "subject": subject}
    terms = [field_term(name, value) for name, value in (own | more).items() if value]
    terms += [field_term(f"attr.{name}", value) for name, value in attributes.items()]
    if message.copy_of:
        terms.append(field_term("copyof", message.copy_of))
    for value in (*own.values(), subject or "", message.title or ""):
        terms += split_words(value)
    return _bounded(chain(terms, _data_terms(message.data)))


def _data_terms(data: Any) -> Iterator[str]:
    # A stack, not recursion: data may nest deeper than Python's own.
    waiting: list[tuple[str, int, Any]] = [("data", 0, data)]
    while waiting:
        path, depth, value = waiting.pop()
        if isinstance(value, dict):
            for name, inner in reversed(value.items()):
                waiting.append((_join(path, name, depth), depth + 1, inner))
            for name in value:
                yield from split_words(name)
        elif isinstance(value, list):
            waiting.extend((path, depth, inner) for inner in reversed(value))
        elif not isinstance(value, bytes):
            text = value if isinstance(value, str) else json.dumps(value)
            if path and 0 < depth <= MAX_FIELD_DEPTH:
                yield field_term(path, text)
            yield from split_words(text)


def _join(path: str, name: str, depth: int) -> str:
    """Return the path of a member, "" if its values are not found by it."""
    if not path or depth >= MAX_FIELD_DEPTH or len(path) + len(name) >= MAX_PATH_LENGTH:
        return ""
    return f"{path}.{name}"


def split_words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    # Nothing that PostgreSQL refuses is a word, so these need no escape.
    return [word[:MAX_TERM_LENGTH] for word in _WORD.findall(text.casefold())]


def field_term(name: str, value: str) -> str:
    """Return the term of a field that has this value; one too long for the index ends in its hash."""
    term = storable(f"{name}={value}".casefold())
    if len(term) <= MAX_TERM_LENGTH:
        return term
    return term[: MAX_TERM_LENGTH - 40] + hashlib.sha1(term.encode(), usedforsecurity=False).hexdigest()


def _bounded(terms: Iterable[str]) -> list[str]:
    """Return each once, the first ones if they are too many."""
    kept = list(dict.fromkeys(islice(terms, MAX_TERMS_READ)))[:MAX_TERMS]
    if 4 * sum(map(len, kept)) <= MAX_TERM_BYTES:  # no character takes more
        return kept
    sizes = accumulate(len(term.encode()) for term in kept)
    return [term for term, size in zip(kept, sizes, strict=True) if size <= MAX_TERM_BYTES]

"""The syntax of a search: conditions, `OR`, brackets and negation, as a tree.

`a b OR -(c OR d)` finds what has both a and b, and what has neither c nor d: what stands side by side binds
tighter than `OR`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 10

# What begins a condition: a minus, the name of a field, and what is quoted.
_CONDITION = re.compile(r'(-)?(?:([A-Za-z_][\w.\-]*):(?!//))?(?:"((?:[^"\\]|\\.)*)"?|(\S+))')
_OR = re.compile(r"OR(?=[\s()]|$)")
_OPENING = re.compile(r"-?\(")
# A minus alone is the beginning of a condition that is still being typed.
_SPACE = re.compile(r"(?:\s|-(?=[\s)]|$))+")


class SearchError(ValueError):
    """The search cannot be understood; the text says which part, and what would be."""


@dataclass(frozen=True, slots=True)
class Word:
    """A condition as typed: a word, or with a name the value of a field; `quoted` if it is a phrase."""

    text: str
    negated: bool
    name: str | None
    value: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in brackets; `text` includes them."""

    text: str
    negated: bool
    inner: "Alternatives"


Node: TypeAlias = Word | Group
# Of which at least one must hold. All nodes of it must.
Alternatives: TypeAlias = tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A part of the text: `(`, `-(`, `)`, `OR` or a condition. It begins at `start`, counted from 0."""

    kind: str
    text: str
    start: int
    word: Word | None = None

    @property
    def place(self) -> int:
        """Where the reader finds it, counted from 1; of a negated bracket, the bracket."""
        return self.start + len(self.text) if self.kind == "(" else self.start + 1


def tokens(text: str) -> Iterator[Token]:
    """Return the parts of a search, without the space between them. Raises SearchError."""
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token = _token(text, at)
        yield token
        at += len(token.text)


def parse(text: str) -> Alternatives:
    """Return the tree of a search; one without conditions has a single alternative, which is empty.

    Raises SearchError, with the place of what is wrong, counted in characters from 1.
    """
    return _Parser(text).whole()


def _token(text: str, at: int) -> Token:
    if opening := _OPENING.match(text, at):
        return Token("(", opening.group(), at)
    if text[at] == ")":
        return Token(")", ")", at)
    if either := _OR.match(text, at):
        return Token("OR", either.group(), at)
    found = _CONDITION.match(text, at)
    assert found is not None  # anything but space is one
    negated, name, phrase, bare = found.groups()
    if phrase is not None:
        value = re.sub(r"\\(.)", r"\1", phrase)
        return Token("word", found.group(), at, Word(found.group(), bool(negated), name, value, quoted=True))
    value = bare[: _end_of_word(bare)]
    whole = text[at : found.start(4) + len(value)]
    if name and not value:
        name, value = None, f"{name}:"
    if name and value.startswith("(") and value.count("(") > value.count(")"):
        raise SearchError(
            f"the bracket at {found.start(4) + 1} is not closed: {name}: takes one value, "
            f"so write ({name}:a OR {name}:b)"
        )
    return Token("word", whole, at, Word(whole, bool(negated), name, value, quoted=False))


def _end_of_word(word: str) -> int:
    """Return where a bracket ends it that was opened before it: `f(x))` is `f(x)`."""
    depth = 0
    for at, character in enumerate(word):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return at
    return len(word)


class _Parser:
    """Reads the tokens of a text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0

    def whole(self) -> Alternatives:
        found = self._alternatives(depth=0)
        if token := self._next():
            raise SearchError(f'the bracket at {token.place} was not opened: to search for it, write ")"')
        return found

    def _next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _alternatives(self, depth: int) -> Alternatives:
        """Return what stands up to the end, or up to a closing bracket."""
        found = [self._side_by_side(depth)]
        while (token := self._next()) and token.kind == "OR":
            self._at += 1
            found.append(self._side_by_side(depth))
            if not (found[-2] and found[-1]):
                advice = 'to search for the word, write "OR"'
                raise SearchError(f"OR at {token.place} needs a condition on either side: {advice}")
        return tuple(found)

    def _side_by_side(self, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        while (token := self._next()) and token.kind in ("(", "word"):
            self._at += 1
            found.append(token.word or self._group(token, depth + 1))
        return tuple(found)

    def _group(self, opening: Token, depth: int) -> Group:
        if depth > MAX_DEPTH:
            raise SearchError(f"a search has at most {MAX_DEPTH} brackets in each other")
        inner = self._alternatives(depth)
        closing = self._next()
        if not closing:
            raise SearchError(f"the bracket at {opening.place} is not closed")
        if inner == ((),):
            raise SearchError(f"the brackets at {opening.place} are empty")
        self._at += 1
        text = self._text[opening.start : closing.start + 1]
        return Group(text, opening.text.startswith("-"), inner)

"""Redaction: the fields that REDACT names are masked, on the parsed document, and in doubt more than these.

A path such as `data.card` begins at the root of a document, at every member called `data`, and anew in every
text that is itself JSON, such as the `Message` of an SNS notification. A path such as `attr.token` names a
message attribute, also where SNS wrote it into a notification. Arrays add nothing to a path, letter case does
not matter, and a name that contains dots counts as the path that it spells.

What cannot be parsed is masked whole if a mask could apply: if the text contains a masked name, or escapes
that could hide one.
"""

import json
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.json_text import to_json
from pipeline.message import COPY_OF, NO_ATTRIBUTES, is_event

MASK = "•••"

# A branch that is nested deeper is masked whole.
MAX_DEPTH = 100

# Attributes of a CloudEvent, which are no data ("CloudEvents", context attributes).
EVENT_ATTRIBUTES = frozenset({"specversion", "id", "source", "type", "time", "datacontenttype", COPY_OF})
# The payload of an event as bytes: masked whole where any field of the data is.
BYTES = "data_base64"
# The attribute of an event in binary mode that says that the body is in base64.
ENCODING = "datacontentencoding"
# Where SNS lists the message attributes in a notification ("HTTP/HTTPS notification JSON format", AWS).
SNS_ATTRIBUTES = "messageattributes"
# Types of message attributes that say nothing else ("Message attribute data types", AWS).
PLAIN_TYPES = frozenset({"String", "Number", "Binary", "String.Array"})

# In a text that is no document: a name and, somewhere after it, what separates names from values, as in
# `"card": `, `card=` and `<card>`; or an escape, which may stand for a letter.
NAMED = r"(?<!\w)({names}).*[:=>]|\\(u[0-9a-f]{{4}}|x[0-9a-f]{{2}})"
_SHOWN = re.compile(rf"{MASK}|(\\u2022){{3}}")
_BASE64 = re.compile("(?=.{8})([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")


class Mask:
    """Masks fields, and in doubt more than these. Without fields it returns what it is given."""

    def __init__(self, fields: Sequence[str]) -> None:
        """`fields` are paths that begin with `data.` or `attr.`."""
        self.fields = tuple(sorted({field.casefold() for field in fields}))
        self._hidden = tuple(f"{field}." for field in self.fields)
        self._beginnings = frozenset(beginning for field in self.fields for beginning in _beginnings(field))
        self._masks_data = any(field.startswith("data.") for field in self.fields)
        names = "|".join(map(re.escape, self.names))
        self._name = re.compile(rf"\\|{names}")
        self._named = re.compile(NAMED.format(names=names), re.DOTALL)

    def __bool__(self) -> bool:
        """Whether it masks anything."""
        return bool(self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """The last names of the masked paths, in lower case. Without any of these a text is not masked."""
        bytes_too = (BYTES,) if self._masks_data else ()
        return tuple(sorted({field.rpartition(".")[2] for field in self.fields})) + bytes_too

    def hides(self, path: str) -> bool:
        """Return whether the field of this path is masked, or is part of one that is."""
        return f"{path.casefold()}.".startswith(self._hidden)

    def body(self, body: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> str:
        """Return the body of a message with these attributes, its fields masked, else exactly as it is."""
        if not self.fields:
            return body
        if self._masks_data and any(ENCODING in name.casefold() for name in attributes):
            return MASK
        return self._text(frozenset({"data"}), body, 0)

    def attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Return message attributes masked: by their names, and where their values are JSON, in these."""
        return {name: self.attribute(f"attr.{name}", value) for name, value in attributes.items()}

    def attribute(self, path: str, value: str) -> str:
        """Return the value of one message attribute, masked."""
        if not self.fields:
            return value
        return MASK if self.hides(path) else self._text(frozenset({"data", path.casefold()}), value, 0)

    def member(self, name: str, text: str) -> str:
        """Return a text that a message is sent with, such as its subject, masked as a member of the data."""
        return self.attribute(f"data.{name}", text)

    def types(self, types: Mapping[str, str]) -> dict[str, str]:
        """Return the types of attributes. AWS allows any text after the first of a type's names."""
        return {
            name: type_ if type_ in PLAIN_TYPES else self.attribute(f"attr.{name}", type_)
            for name, type_ in types.items()
        }

    def preview(self, preview: str) -> str:
        """Return a preview masked: the beginning of a text, of the data as JSON, or of `text` in it."""
        if not self.fields or not preview:
            return preview
        if self.hides("data.text"):  # which this may be, whatever it looks like
            return MASK
        if self._masks_data and _BASE64.fullmatch(preview):  # of an event whose data are bytes
            return MASK
        folded = preview.casefold()
        first = self._name.search(folded)
        if not first or self._text(frozenset({"data"}), preview, 0) == preview:
            return preview
        # What follows the first masked value tells how long it is, and a preview may be cut off anywhere.
        is_document = preview.startswith(("{", "[")) and len(folded) == len(preview)
        return preview[: first.start()].rstrip('"') + MASK if is_document else MASK

    def is_in(self, body: str) -> bool:
        """Return whether this is, or contains, what was shown in place of a masked value."""
        return bool(self.fields) and holds_mask(body)

    def error(self, text: str) -> str:
        """Return the text of an error, masked whole: it may quote any field."""
        return MASK if self.fields and text else text

    def traceback(self, error: BaseException) -> str:
        """Return the traceback of an error, with the texts of all errors in it masked."""
        if not self.fields:
            return "".join(traceback.format_exception(error))
        return "\n".join(_without_texts(error))

    def _text(self, paths: frozenset[str], text: str, depth: int) -> str:
        if not self._name.search(text.casefold()):
            return text
        if not text.lstrip().startswith(("{", "[", '"')):
            return MASK if self._named.search(text.casefold()) else text
        try:
            document, exact = _parse(text)
            masked = self._document(paths | {"data"}, document, depth + 1)
        except (ValueError, RecursionError):
            return MASK
        # A repeated name is parsed once, but stands in the text twice.
        return text if exact and masked == document else to_json(masked)

    def _document(self, paths: frozenset[str], document: Any, depth: int) -> Any:
        """Mask a document, but not the attributes of a CloudEvent."""
        masked = self._value(paths, document, depth)
        if not is_event(document):
            return masked
        kept = {
            name: self._text(paths, value, depth)
            for name, value in document.items()
            if name in EVENT_ATTRIBUTES and isinstance(value, str)
        }
        return {**masked, **kept}

    def _value(self, paths: frozenset[str], value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(paths, value, depth)
        if not isinstance(value, dict | list):
            return value
        if depth > MAX_DEPTH:
            return MASK
        if isinstance(value, list):
            return [self._value(paths, inner, depth + 1) for inner in value]
        return {name: self._member(paths, name, inner, depth + 1) for name, inner in value.items()}

    def _member(self, paths: frozenset[str], name: str, value: Any, depth: int) -> Any:
        key = name.casefold()
        inner = {key, *(f"{path}.{key}" for path in paths)}
        if any(map(self.hides, inner)) or (key == BYTES and self._masks_data):
            return MASK
        if key == SNS_ATTRIBUTES:
            inner.add("attr")
        return self._value(self._beginnings & inner, value, depth)


def holds_mask(text: str) -> bool:
    """Return whether a text holds what is shown in place of a masked value, by any viewer."""
    return bool(_SHOWN.search(text))


def _beginnings(path: str) -> Iterator[str]:
    """Yield the paths above this one."""
    while path := path.rpartition(".")[0]:
        yield path


def _parse(text: str) -> tuple[Any, bool]:
    """Return a document, and whether it is exactly what the text says: no name is repeated in an object.

    Raises ValueError and RecursionError.
    """
    exact = True

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal exact
        made = dict(pairs)
        exact = exact and len(made) == len(pairs)
        return made

    return json.loads(text, object_pairs_hook=make), exact


def _without_texts(error: BaseException) -> list[str]:
    """Return the frames of an error and of those that led to it, the first one first."""
    parts: list[str] = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        parts.append(f"{''.join(traceback.format_tb(one.__traceback__))}{type(one).__name__}: {MASK}\n")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return parts[::-1]


NO_MASK = Mask([])

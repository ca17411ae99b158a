"""Redaction: fields that nobody may see are masked as they come out of the store or the queue, so that no
page, stream, list or export of this viewer can hold them. What is stored stays as it is, and can be searched.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pipeline.message import to_json
from pipeline.search.sql import EVERYTHING, Search
from pipeline.store.connection import Database
from pipeline.store.dead_letters import DeadLetter, PastDelivery, WholeDeadLetter
from pipeline.store.reader import Facets, NearMiss, Reader, StoredMessage, Summary
from viewer.aws.queue_inspection import Waiting

MASK = "•••"
AnySummary = TypeVar("AnySummary", bound=Summary)
AnyLetter = TypeVar("AnyLetter", bound=DeadLetter)


class RedactingReader(Reader):
    """The store as those may see it who may not see some fields: `data.card`, `attr.token`."""

    def __init__(self, database: Database, fields: Sequence[str]) -> None:
        """`fields` are paths; an array adds nothing to a path."""
        super().__init__(database)
        self._mask = Mask(fields)

    def find(
        self,
        wanted: Search = EVERYTHING,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Summary]:
        """See Reader.find."""
        found = super().find(wanted, limit=limit, before=before, after=after)
        return [self._mask.summary(message) for message in found]

    def read(
        self, wanted: Search = EVERYTHING, *, limit: int, after: int, before: int | None = None
    ) -> list[StoredMessage]:
        """See Reader.read."""
        found = super().read(wanted, limit=limit, after=after, before=before)
        return [self._mask.whole(message) for message in found]

    def get(self, seq: int) -> StoredMessage | None:
        """See Reader.get."""
        message = super().get(seq)
        return message and self._mask.whole(message)

    def nearest(self, wanted: Search, *, limit: int, after: int | None = None) -> list[NearMiss]:
        """See Reader.nearest."""
        found = super().nearest(wanted, limit=limit, after=after)
        return [replace(miss, message=self._mask.summary(miss.message)) for miss in found]

    def facets(self, wanted: Search, *, most: int = 10_000, values: int = 10) -> Facets:
        """See Reader.facets."""
        facets = super().facets(wanted, most=most, values=values)
        shown = {name: counts for name, counts in facets.values.items() if not self._mask.hides(name)}
        return replace(facets, values=shown)


class Mask:
    """Masks the fields it is given, and more rather than less where it cannot tell."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Take `data.…` and `attr.…` paths."""
        self._fields = {field.casefold() for field in fields}
        keys = "|".join(re.escape(field.rpartition(".")[2]) for field in fields if field.startswith("data."))
        self._keys = re.compile(rf'"({keys})"\s*:', re.IGNORECASE) if keys else None
        key = rf'("(?:{keys})"\s*:\s*)'
        self._value = re.compile(key + r'("(?:[^"\\]|\\.)*"?|[^\s",\[\]{}]+)', re.IGNORECASE)
        self._branch = re.compile(key + r"[\[{].*", re.IGNORECASE | re.DOTALL)

    def hides(self, name: str) -> bool:
        """Tell whether this field is masked."""
        return name.casefold() in self._fields

    def summary(self, message: AnySummary) -> AnySummary:
        """Return it with what its preview, color and sequence may show."""
        shown = replace(message, preview=self._preview(message.preview))
        if self.hides("data.color"):
            shown = replace(shown, color=None)
        return replace(shown, sequence=None) if self.hides("data.sequence") else shown

    def whole(self, message: StoredMessage) -> StoredMessage:
        """Return it with its document and attributes masked."""
        attributes = self._attributes(message.attributes)
        return replace(self.summary(message), body=self._body(message.body), attributes=attributes)

    def letter(self, letter: AnyLetter) -> AnyLetter:
        """Return it with its preview masked; its error may quote any field, so only its type is left."""
        if not self._fields:
            return letter
        return replace(letter, preview=self._preview(letter.preview), error=MASK, traceback=MASK)

    def whole_letter(self, letter: WholeDeadLetter) -> WholeDeadLetter:
        """Return it with its document and attributes masked, too."""
        attributes = self._attributes(letter.attributes)
        return replace(self.letter(letter), body=self._body(letter.body), attributes=attributes)

    def delivery(self, delivery: PastDelivery) -> PastDelivery:
        """Return it with its error masked, if it has one, since that may quote any field."""
        return replace(delivery, error=MASK) if self._fields and delivery.error else delivery

    def waiting(self, message: Waiting) -> Waiting:
        """Return it with its body and attributes masked; of an SNS notification nothing is shown."""
        if not self._fields:
            return message
        # What a notification carries is JSON written inside JSON.
        body = MASK if '"TopicArn"' in message.body else self._body(message.body)
        return replace(message, body=body, attributes=self._attributes(message.attributes))

    def _attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        return {name: MASK if self.hides(f"attr.{name}") else value for name, value in attributes.items()}

    def _preview(self, preview: str) -> str:
        """Mask a text that is the beginning of JSON, or the `text` of the data."""
        if self._keys is None:
            return preview
        if self.hides("data.text") and not preview.startswith(("{", "[")):
            return MASK
        # A value that is itself a tree ends nobody knows where: everything after it goes.
        preview = self._branch.sub(rf"\g<1>{MASK}", preview)
        return self._value.sub(rf'\g<1>"{MASK}"', preview)

    def _body(self, body: str) -> str:
        # A key may be written with escapes.
        if self._keys is None or not (self._keys.search(body) or "\\u" in body):
            return body
        try:
            document = json.loads(body)
            if isinstance(document, dict) and {"specversion", "data"} <= document.keys():
                masked = {**document, "data": self._tree("data", document["data"])}
            else:
                masked = self._tree("data", document)
        except (ValueError, RecursionError):
            return MASK
        return body if masked == document else to_json(masked)

    def _tree(self, path: str, value: Any) -> Any:
        if self.hides(path):
            return MASK
        if isinstance(value, Mapping):
            return {name: self._tree(f"{path}.{name}", inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._tree(path, inner) for inner in value]
        return value

"""Redaction: the fields named by REDACT are masked wherever the viewer shows them.

`viewer.api.views` applies the mask to everything that leaves the viewer. Stored messages are not changed, and
masked fields can still be searched.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pipeline.message import to_json
from pipeline.store.dead_letters import DeadLetter, PastDelivery, WholeDeadLetter
from pipeline.store.reader import StoredMessage, Summary
from viewer.aws.queue_inspection import Waiting

MASK = "•••"
AnySummary = TypeVar("AnySummary", bound=Summary)
AnyLetter = TypeVar("AnyLetter", bound=DeadLetter)


class Mask:
    """Masks fields, and in doubt more than these. Without fields it returns what it is given."""

    def __init__(self, fields: Sequence[str]) -> None:
        """`fields` are paths such as `data.card` and `attr.token`; an array adds nothing to a path."""
        self._fields = {field.casefold() for field in fields}
        keys = "|".join(re.escape(field.rpartition(".")[2]) for field in fields if field.startswith("data."))
        self._keys = re.compile(rf'"({keys})"\s*:', re.IGNORECASE) if keys else None
        key = rf'("(?:{keys})"\s*:\s*)'
        self._value = re.compile(key + r'("(?:[^"\\]|\\.)*"?|[^\s",\[\]{}]+)', re.IGNORECASE)
        self._branch = re.compile(key + r"[\[{].*", re.IGNORECASE | re.DOTALL)

    def __bool__(self) -> bool:
        """Whether it masks anything."""
        return bool(self._fields)

    def hides(self, name: str) -> bool:
        """Return whether this field is masked."""
        return name.casefold() in self._fields

    def summary(self, message: AnySummary) -> AnySummary:
        """Return it with its preview, color and sequence masked."""
        if not self._fields:
            return message
        shown = replace(message, preview=self._preview(message.preview))
        if self.hides("data.color"):
            shown = replace(shown, color=None)
        return replace(shown, sequence=None) if self.hides("data.sequence") else shown

    def whole(self, message: StoredMessage) -> StoredMessage:
        """Return it with its body and attributes masked."""
        if not self._fields:
            return message
        attributes = self._attributes(message.attributes)
        return replace(self.summary(message), body=self._body(message.body), attributes=attributes)

    def letter(self, letter: AnyLetter) -> AnyLetter:
        """Return it with its preview masked, and its error and traceback, which may quote any field."""
        if not self._fields:
            return letter
        return replace(letter, preview=self._preview(letter.preview), error=MASK, traceback=MASK)

    def whole_letter(self, letter: WholeDeadLetter) -> WholeDeadLetter:
        """Return it with its body and attributes masked, too."""
        if not self._fields:
            return letter
        attributes = self._attributes(letter.attributes)
        return replace(self.letter(letter), body=self._body(letter.body), attributes=attributes)

    def delivery(self, delivery: PastDelivery) -> PastDelivery:
        """Return it with its error masked, which may quote any field."""
        return replace(delivery, error=MASK) if self._fields and delivery.error else delivery

    def waiting(self, message: Waiting) -> Waiting:
        """Return it with its body and attributes masked; the body of an SNS notification is masked whole."""
        if not self._fields:
            return message
        # The payload of a notification is JSON in a string.
        body = MASK if '"TopicArn"' in message.body else self._body(message.body)
        return replace(message, body=body, attributes=self._attributes(message.attributes))

    def _attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        return {name: MASK if self.hides(f"attr.{name}") else value for name, value in attributes.items()}

    def _preview(self, preview: str) -> str:
        """Mask a preview: the beginning of a JSON text, or of the `text` in the data."""
        if self._keys is None:
            return preview
        if self.hides("data.text") and not preview.startswith(("{", "[")):
            return MASK
        # The end of a nested value is unknown here, so everything after its beginning is masked.
        preview = self._branch.sub(rf"\g<1>{MASK}", preview)
        return self._value.sub(rf'\g<1>"{MASK}"', preview)

    def _body(self, body: str) -> str:
        # A key may contain escapes.
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

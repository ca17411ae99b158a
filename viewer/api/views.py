"""Views: what the API and the page show of messages. Nothing else makes these, and all of it is masked.

Stored messages are not changed: REDACT may be set, changed and unset at any time.
"""

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from pipeline.message import has_event, has_own_identity, read_stored
from pipeline.problems import Problem
from pipeline.redaction import MASK, Mask
from pipeline.store.dead_letters import DeadLetter as StoredDeadLetter
from pipeline.store.dead_letters import Outcome, PastDelivery, WholeDeadLetter
from pipeline.store.reader import Facets, StoredMessage, Summary
from viewer.api.models import (
    CopyLinks,
    DeadLetter,
    DeadLetterDetail,
    Delivery,
    ExportedMessage,
    FacetValue,
    MessageDetail,
    MessageSummary,
    NearMiss,
    StoringDelivery,
    WaitingMessage,
    WholeMessage,
)
from viewer.api.near_misses import explain_miss
from viewer.aws.queue_inspection import Waiting
from viewer.fields import OWN_FIELDS, field_text

MAX_WAITING_BODY = 100_000

View = TypeVar("View")
AnySummary = TypeVar("AnySummary", bound=Summary)
AnyLetter = TypeVar("AnyLetter", bound=StoredDeadLetter)

PUBLISHED_TEXTS = ("subject", "group_id", "deduplication_id", "sequence_number", "sns_message_id")

# Lists and streams show thousands of these.
_SUMMARY = attrgetter(*(field.name for field in fields(MessageSummary)))


class Views:
    """Shows messages through a mask. Whatever holds a part of a message leaves the viewer as one of these."""

    def __init__(self, mask: Mask) -> None:
        """Show nothing that the mask hides."""
        self._mask = mask

    def summary(self, message: Summary) -> MessageSummary:
        """Return an entry of a list or of the stream."""
        shown = MessageSummary(*_SUMMARY(self._summary(message)))
        if self._mask:
            shown.size = None  # it tells the length of what is masked
        return shown

    def summaries(self, messages: Sequence[Summary]) -> list[MessageSummary]:
        """Return the entries of a list."""
        return [self.summary(message) for message in messages]

    def whole(self, message: StoredMessage) -> WholeMessage:
        """Return a message of a list with its payload."""
        shown = self._whole(message)
        return _view(WholeMessage, shown, **_payload(shown))

    def near_miss(self, failed: str, message: StoredMessage) -> NearMiss:
        """Return a message that does not meet the condition `failed`, which is as the reader typed it."""
        return NearMiss(failed, explain_miss(failed, self.whole(message)), self.summary(message))

    def exported(self, message: StoredMessage) -> ExportedMessage:
        """Return a line of an export."""
        shown = self._whole(message)
        stored = [_view(StoringDelivery, message)]
        return _view(ExportedMessage, shown, **_payload(shown), deliveries=stored)

    def body(self, message: StoredMessage) -> str:
        """Return a message as it was published."""
        return self._masked(message)[0]

    def detail(
        self,
        message: StoredMessage,
        deliveries: Sequence[PastDelivery],
        outcomes: Sequence[Outcome],
        links: CopyLinks,
    ) -> MessageDetail:
        """Return a message with all that is known of it."""
        shown = self._whole(message)
        return _view(
            MessageDetail,
            shown,
            **_payload(shown),
            deliveries=[_view(Delivery, self._delivery(one)) for one in deliveries],
            outcomes=outcomes,
            copy_of=links.copy_of,
            copies=links.copies,
            conflicts=links.conflicts,
            is_event=has_event(message.body, message.attributes),
            has_own_id=has_own_identity(message.body, message.attributes),
        )

    def copy_of(self, message: StoredMessage | WholeDeadLetter) -> str | None:
        """Return which message this one is a copy of: source and id, as in COPY_OF."""
        body, attributes = self._masked(message)
        return message.copy_of or read_stored(body, attributes).copy_of

    def fields(self, message: StoredMessage, names: Sequence[str]) -> dict[str, str]:
        """Return the values of these fields, as far as the message has them."""
        body, attributes = self._masked(message)
        data = read_stored(body, attributes).data
        own = {name: getattr(message, name) for name in OWN_FIELDS}
        own |= self._publication(message)
        found = {name: field_text(name, data, attributes, own) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def facets(self, facets: Facets) -> dict[str, list[FacetValue]]:
        """Return how often each value occurs, by the names that a search uses."""
        return {
            name: [FacetValue(value, count) for value, count in counts if self._is_shown(name, value)]
            for name, counts in facets.values.items()
            if not self._mask.hides(name)
        }

    def _is_shown(self, name: str, value: str) -> bool:
        if name == "subject":
            return self._mask.member(name, value) == value
        return not name.startswith("attr.") or self._mask.attribute(name, value) == value

    def dead_letter(self, letter: StoredDeadLetter) -> DeadLetter:
        """Return an entry of the list of dead letters."""
        return _view(DeadLetter, self._letter(letter))

    def dead_letter_detail(self, letter: WholeDeadLetter, links: CopyLinks) -> DeadLetterDetail:
        """Return a whole dead letter."""
        body, attributes = self._masked(letter)
        shown = replace(self._letter(letter), body=body, attributes=attributes, **self._publication(letter))
        stated = read_stored(body, attributes).event_time
        return _view(DeadLetterDetail, shown, event_time=stated, copy_of=links.copy_of, copies=links.copies)

    def waiting(self, message: Waiting) -> WaitingMessage:
        """Return a message in the queue; the end of a long body is cut off."""
        body, attributes = self._masked(message)
        shown = replace(message, body=body[:MAX_WAITING_BODY], attributes=attributes)
        return _view(WaitingMessage, shown, size=_size(body))

    def refuse_mask(self, texts: Mapping[str, str]) -> None:
        """Raise the Problem that says so if a message was edited where a value is masked.

        `texts` are its parts, by the parameters that they were sent as.

        Its publisher knows the mask only, and putting the original back needs to know where it belongs.
        """
        for parameter, text in texts.items():
            if self._mask.is_in(text):
                detail = f"{MASK} stands for a value that REDACT masks: resend this message as it is"
                raise Problem(400, detail, parameter=parameter)

    # ---- masking

    def _masked(self, message: StoredMessage | WholeDeadLetter | Waiting) -> tuple[str, dict[str, str]]:
        """Return body and attributes of a message, masked."""
        return self._mask.body(message.body, message.attributes), self._mask.attributes(message.attributes)

    def _summary(self, message: AnySummary) -> AnySummary:
        mask = self._mask
        if not mask:
            return replace(message, preview=message.title) if message.title else message
        return replace(
            message,
            preview=mask.preview(message.preview),  # the title may be of any field
            color=None if mask.hides("data.color") else message.color,
            sequence=None if mask.hides("data.sequence") else message.sequence,
            subject=message.subject and mask.member("subject", message.subject),
        )

    def _whole(self, message: StoredMessage) -> StoredMessage:
        if not self._mask:
            return self._summary(message)
        body, attributes = self._masked(message)
        publication = self._publication(message)
        return replace(
            self._summary(message), body=body, attributes=attributes, size=_size(body), **publication
        )

    def _publication(self, message: StoredMessage | WholeDeadLetter) -> dict[str, Any]:
        """Return how a message was published, as far as a publisher can write anything there, masked."""
        texts = {name: getattr(message, name) for name in PUBLISHED_TEXTS}
        types = message.attribute_types
        masked = {name: text and self._mask.member(name, text) for name, text in texts.items()}
        return {**masked, "attribute_types": types and self._mask.types(types)}

    def _letter(self, letter: AnyLetter) -> AnyLetter:
        # Its error may quote any field.
        error, traceback = self._mask.error(letter.error), self._mask.error(letter.traceback)
        preview = self._mask.preview(letter.preview) if self._mask else letter.title or letter.preview
        return replace(letter, preview=preview, error=error, traceback=traceback)

    def _delivery(self, delivery: PastDelivery) -> PastDelivery:
        return replace(delivery, error=self._mask.error(delivery.error)) if delivery.error else delivery


def _size(body: str) -> int:
    return len(body.encode("utf-8", "surrogatepass"))


def _payload(shown: StoredMessage) -> dict[str, Any]:
    data = read_stored(shown.body, shown.attributes).data
    if isinstance(data, bytes):
        return {"data": None, "data_base64": base64.b64encode(data).decode()}
    return {"data": data, "data_base64": None}


def _view(view: type[View], source: object, **more: Any) -> View:
    """Return a view made of the attributes of the same names, and `more`."""
    own = {name: getattr(source, name) for name in _names(view) if name not in more}  # type: ignore[arg-type]
    return view(**own, **more)


@functools.cache
def _names(view: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(view))

"""Views: what the API and the page show of messages. Nothing else makes these, and all of it is masked."""

import base64
import functools
from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from pipeline.message import read_stored
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
from viewer.redaction import Mask

MAX_WAITING_BODY = 10_000

View = TypeVar("View")
Titled = TypeVar("Titled", bound=Summary | StoredDeadLetter)

# Lists and streams show thousands of these.
_SUMMARY = attrgetter(*(field.name for field in fields(MessageSummary)))


class Views:
    """Shows messages through a mask. Whatever holds a part of a message leaves the viewer as one of these."""

    def __init__(self, mask: Mask) -> None:
        """Show nothing that the mask hides."""
        self._mask = mask

    def summary(self, message: Summary) -> MessageSummary:
        """Return an entry of a list or of the stream."""
        return MessageSummary(*_SUMMARY(self._titled(self._mask.summary(message))))

    def summaries(self, messages: Sequence[Summary]) -> list[MessageSummary]:
        """Return the entries of a list."""
        return [self.summary(message) for message in messages]

    def whole(self, message: StoredMessage) -> WholeMessage:
        """Return a message of a list with its payload."""
        shown = self._titled(self._mask.whole(message))
        return _view(WholeMessage, shown, **_payload(shown))

    def near_miss(self, failed: str, message: StoredMessage) -> NearMiss:
        """Return a message that does not meet the condition `failed`, which is as the reader typed it."""
        return NearMiss(failed, explain_miss(failed, self.whole(message)), self.summary(message))

    def exported(self, message: StoredMessage) -> ExportedMessage:
        """Return a line of an export."""
        shown = self._titled(self._mask.whole(message))
        stored = [_view(StoringDelivery, message)]
        return _view(ExportedMessage, shown, **_payload(shown), deliveries=stored)

    def body(self, message: StoredMessage) -> str:
        """Return a message as it was published."""
        return self._mask.whole(message).body

    def detail(
        self,
        message: StoredMessage,
        deliveries: Sequence[PastDelivery],
        outcomes: Sequence[Outcome],
        links: CopyLinks,
    ) -> MessageDetail:
        """Return a message with all that is known of it."""
        shown = self._titled(self._mask.whole(message))
        return _view(
            MessageDetail,
            shown,
            **_payload(shown),
            deliveries=[_view(Delivery, self._mask.delivery(one)) for one in deliveries],
            outcomes=outcomes,
            copy_of=links.copy_of,
            copies=links.copies,
            conflicts=links.conflicts,
        )

    def copy_of(self, message: StoredMessage | WholeDeadLetter) -> str | None:
        """Return which message this one is a copy of: source and id, as in COPY_OF."""
        shown = (
            self._mask.whole(message)
            if isinstance(message, StoredMessage)
            else self._mask.whole_letter(message)
        )
        return read_stored(shown.body, shown.attributes).copy_of

    def facets(self, facets: Facets) -> dict[str, list[FacetValue]]:
        """Return how often each value occurs, by the names that a search uses."""
        return {
            name: [FacetValue(value, count) for value, count in counts]
            for name, counts in facets.values.items()
            if not self._mask.hides(name)
        }

    def dead_letter(self, letter: StoredDeadLetter) -> DeadLetter:
        """Return an entry of the list of dead letters."""
        return _view(DeadLetter, self._titled(self._mask.letter(letter)))

    def dead_letter_detail(self, letter: WholeDeadLetter, links: CopyLinks) -> DeadLetterDetail:
        """Return a whole dead letter."""
        shown = self._titled(self._mask.whole_letter(letter))
        return _view(DeadLetterDetail, shown, copy_of=links.copy_of, copies=links.copies)

    def waiting(self, message: Waiting) -> WaitingMessage:
        """Return a message in the queue; the end of a long body is cut off."""
        shown = self._mask.waiting(message)
        size = len(shown.body.encode("utf-8", "surrogatepass"))
        return _view(WaitingMessage, shown, body=shown.body[:MAX_WAITING_BODY], size=size)

    def _titled(self, message: Titled) -> Titled:
        """Show its title in place of its preview. With a mask none is shown: it may hold any field."""
        return replace(message, preview=message.title) if message.title and not self._mask else message


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

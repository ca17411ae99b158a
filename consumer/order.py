"""The order in which a consumer handles what its queue delivers.

A standard queue has none. On a FIFO queue, groups are handled side by side, and the messages of a group one
after the other: the next one begins when every handler has taken the one before. If one fails, those behind
it that were received with it are handed back untouched, and all of them become visible together, after the
delay of the one that failed: the group waits, the others go on.

SQS counts each receipt as a try ("maxReceiveCount", AWS), also of a message that is handed back untouched. So
that none dies for those in front of it,

- those behind a message that failed at its last try are handled at once: it is as good as dead;
- only one message at a time is received while trouble is to be expected: while a group is about to be
  retried, and after a receipt of messages that had been received before. It is the same at the start, so
  that a message that kills its consumer takes no others with it.
"""

import itertools
import threading
import time
from collections.abc import Collection, Mapping, Sequence

from pipeline.aws import MAX_BATCH
from pipeline.message import Delivery
from pipeline.store.failures import FailedTry

# A retry that has not come by then was received by another consumer.
OVERDUE_SECONDS = 60.0
# Of so many groups, one is always about to be retried. Senders choose how many there are.
MAX_WAITING_GROUPS = 1000
# For several of a group: of what is visible at once, LocalStack delivers some before the rest is visible.
MIN_HIDDEN_SECONDS = 1

Seconds = Mapping[Delivery, int]
Split = tuple[list[Delivery], list[Delivery]]


class AnyOrder:
    """That of a standard queue. Pollers share it."""

    def batch_size(self, _wait_seconds: float) -> int:
        """Return how many messages to receive in a poll that takes at most this long."""
        return MAX_BATCH

    def next_portion(self, left: Sequence[Delivery], size: int) -> Split:
        """Return up to `size` deliveries to handle next, side by side, and the rest."""
        return list(left[:size]), list(left[size:])

    def hold_back(
        self, left: Sequence[Delivery], _failed: Collection[FailedTry], _untouched: Collection[Delivery]
    ) -> Split:
        """Return those that cannot be handled after what failed or is untouched, and the rest."""
        return [], list(left)

    def settle(self, _deliveries: Sequence[Delivery], seconds: Seconds) -> Seconds:
        """Return for how long to hide what is handed back of a batch, in the order in which to request it.

        `seconds` is what each failure asks for, and 0 for what is untouched.
        """
        return seconds


class GroupOrder(AnyOrder):
    """That of a FIFO queue: within each message group, as SQS delivers it."""

    def __init__(self) -> None:
        """Expect trouble."""
        self._lock = threading.Lock()
        self._size = 1
        self._due: dict[str | None, float] = {}  # when the groups that wait will be visible

    def batch_size(self, wait_seconds: float) -> int:
        """Return 1 if trouble is to be expected until the end of the poll."""
        with self._lock:
            poll_ends = time.monotonic() + wait_seconds
            return 1 if any(due <= poll_ends for due in self._due.values()) else self._size

    def next_portion(self, left: Sequence[Delivery], size: int) -> Split:
        """Return the first of each group: no handler gets two of a group in one call."""
        first = {_group(delivery): delivery for delivery in reversed(left)}
        portion = [delivery for delivery in left if first[_group(delivery)] is delivery][:size]
        return portion, [delivery for delivery in left if delivery not in portion]

    def hold_back(
        self, left: Sequence[Delivery], failed: Collection[FailedTry], untouched: Collection[Delivery]
    ) -> Split:
        """Return those behind one that will be delivered again, and the rest."""
        again = [*untouched, *(one.delivery for one in failed if not one.last)]
        groups = set(map(_group, again))
        behind = [delivery for delivery in left if _group(delivery) in groups]
        return behind, [delivery for delivery in left if _group(delivery) not in groups]

    def settle(self, deliveries: Sequence[Delivery], seconds: Seconds) -> Seconds:
        """Return the same time for all of a group, the last one first.

        A request takes its time: so the first of a group is the last to become visible.
        """
        of_group: dict[str | None, int] = {}
        for delivery, wanted in seconds.items():
            group = _group(delivery)
            of_group[group] = (
                max(wanted, of_group[group], MIN_HIDDEN_SECONDS) if group in of_group else wanted
            )
        self._learn(deliveries, of_group)
        places = {delivery.receipt_handle: place for place, delivery in enumerate(deliveries)}
        last_first = sorted(seconds, key=lambda delivery: places[delivery.receipt_handle], reverse=True)
        return {delivery: of_group[_group(delivery)] for delivery in last_first}

    def _learn(self, deliveries: Sequence[Delivery], hidden: Mapping[str | None, int]) -> None:
        """Note which groups wait, and whether this batch went without trouble."""
        now = time.monotonic()
        received = set(map(_group, deliveries))
        is_smooth = not hidden and all(delivery.receive_count == 1 for delivery in deliveries)
        with self._lock:
            due = {
                group: at
                for group, at in self._due.items()
                if group not in received and now < at + OVERDUE_SECONDS
            } | {group: now + wait for group, wait in hidden.items() if wait}
            self._due = dict(itertools.islice(due.items(), max(0, len(due) - MAX_WAITING_GROUPS), None))
            self._size = min(2 * self._size, MAX_BATCH) if is_smooth else 1


def _group(delivery: Delivery) -> str | None:
    return delivery.message.publication.group_id

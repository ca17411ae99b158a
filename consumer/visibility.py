"""Extends the visibility timeout of messages that take long, so that no other consumer receives them.

One thread per process extends the timeout of every delivery in progress well before it expires ("Amazon SQS
visibility timeout", AWS). A batch that is done sooner, as nearly all are, costs no request.
"""

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from consumer.queue import Queue
from pipeline.aws import MAX_BATCH
from pipeline.message import Delivery
from pipeline.retry import AWS_ERRORS, explain

log = logging.getLogger(__name__)


class VisibilityKeeper:
    """Extends the deliveries that pollers hold. Pollers hold and release them from their own threads."""

    def __init__(self, queue: Queue) -> None:
        """Nothing is extended until `run` is called."""
        self._queue = queue
        self._timeout = queue.visibility_timeout_seconds
        # Held during each request, so that a release returns only when no extension is under way. A later one
        # would undo the shorter timeout that the poller sets next.
        self._lock = threading.Lock()
        # By receipt handle, with the time at which they become visible: a poller that learns more about a
        # message replaces its delivery.
        self._held: dict[str, tuple[Delivery, float]] = {}

    @contextlib.contextmanager
    def holding(self, deliveries: Sequence[Delivery]) -> Iterator[None]:
        """Keep deliveries that were just received hidden, until they are released or the block ends."""
        with self._lock:
            self._hold(deliveries)
        try:
            yield
        finally:
            self.release(deliveries)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Stop extending these."""
        with self._lock:
            for delivery in deliveries:
                self._held.pop(delivery.receipt_handle, None)

    def run(self, end: threading.Event) -> None:
        """Extend deliveries that are due until `end` is set."""
        while not end.wait(self._timeout / 6):
            try:
                self.extend_due()
            except AWS_ERRORS as error:
                # There is time for several more attempts before the timeout expires.
                log.warning("visibility not extended", extra={"reason": explain(error)})

    def extend_due(self) -> int:
        """Extend those with less than half their timeout left; return how many. Raises what boto3 raises."""
        with self._lock:
            now = time.monotonic()
            due = [held for held, visible_at in self._held.values() if visible_at - now < self._timeout / 2]
            due.reverse()  # if nobody extends them again, the first of a message group appears last
            for start in itertools.count(0, MAX_BATCH):
                batch = due[start : start + MAX_BATCH]
                if not batch:
                    return len(due)
                self._queue.hide(dict.fromkeys(batch, self._timeout))
                self._hold(batch)
                log.info("visibility extended", extra={"messages": len(batch)})
        raise AssertionError

    def _hold(self, deliveries: Sequence[Delivery]) -> None:
        visible_at = time.monotonic() + self._timeout
        self._held |= {delivery.receipt_handle: (delivery, visible_at) for delivery in deliveries}

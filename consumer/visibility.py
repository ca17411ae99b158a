"""Keeping what is in hand hidden: what is handled for long is not given to another consumer meanwhile.

One thread for the process extends the visibility timeout of every delivery in hand well before it runs out
("Amazon SQS visibility timeout", AWS). A batch that is done sooner, as nearly all are, costs no request.
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
    """Extends what pollers hold; they hold and release from their threads."""

    def __init__(self, queue: Queue) -> None:
        """Extend nothing until `run`."""
        self._queue = queue
        self._timeout = queue.visibility_timeout_seconds
        # Held over each request, so that a release returns only when no extension is on its way: it would
        # undo the shorter timeout that is set next.
        self._lock = threading.Lock()
        self._visible_at: dict[Delivery, float] = {}

    @contextlib.contextmanager
    def holding(self, deliveries: Sequence[Delivery]) -> Iterator[None]:
        """Keep these, which have just been received, hidden until released or the end of the block."""
        visible_at = time.monotonic() + self._timeout
        with self._lock:
            self._visible_at |= dict.fromkeys(deliveries, visible_at)
        try:
            yield
        finally:
            self.release(deliveries)

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Extend these no more."""
        with self._lock:
            for delivery in deliveries:
                self._visible_at.pop(delivery, None)

    def run(self, end: threading.Event) -> None:
        """Extend what needs it until `end` is set."""
        while not end.wait(self._timeout / 6):
            try:
                self.extend_due()
            except AWS_ERRORS as error:
                # Tried again in a moment, and there is time for several attempts.
                log.warning("visibility not extended", extra={"reason": explain(error)})

    def extend_due(self) -> int:
        """Extend what becomes visible within half a timeout; return how many. Raises what boto3 raises."""
        with self._lock:
            now = time.monotonic()
            due = [
                held for held, visible_at in self._visible_at.items() if visible_at - now < self._timeout / 2
            ]
            for start in itertools.count(0, MAX_BATCH):
                batch = due[start : start + MAX_BATCH]
                if not batch:
                    return len(due)
                self._queue.hide(dict.fromkeys(batch, self._timeout))
                self._visible_at |= dict.fromkeys(batch, time.monotonic() + self._timeout)
                log.info("visibility extended", extra={"messages": len(batch)})
        raise AssertionError

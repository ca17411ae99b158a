"""The poll loop: receive, handle, acknowledge, again and again.

A message is deleted only after the handler returned, which means it is stored. Killed between the two, it is
delivered again and found stored already. SQS delivers at least once; the store makes it once.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from consumer.queue import DeleteRefused, Queue
from pipeline.message import Delivery
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, retry_until_stopped
from pipeline.stopping import Stopped

Handler = Callable[[Sequence[Delivery]], None]

log = logging.getLogger(__name__)


class Poller:
    """One loop over one queue."""

    def __init__(
        self, queue: Queue, handler: Handler, stop: threading.Event, beat: Callable[[], None]
    ) -> None:
        """`beat` is called at each completed turn: the sign of life."""
        self._queue, self._handler, self._stop, self._beat = queue, handler, stop, beat

    def run(self) -> None:
        """Poll until stopped, and finish the batch in hand."""
        while not self._stop.is_set():
            try:
                self.poll_once()
            except Stopped:
                return
            except Exception:
                # Its messages become visible again after the visibility timeout, or end as dead letters.
                log.exception("batch failed")
            self._beat()

    def poll_once(self) -> int:
        """Take one turn; return how many messages it brought. Raises Stopped."""
        deliveries = self._receive()
        if deliveries:
            self._handle(deliveries)
            self._acknowledge(deliveries)
        return len(deliveries)

    def _receive(self) -> list[Delivery]:
        # A queue that does not exist is waited for like any other error of AWS: an emulator that restarted
        # creates it anew.
        deliveries = retry_until_stopped(
            self._queue.receive, what="SQS", errors=AWS_ERRORS, stop=self._stop, beat=self._beat
        )
        if deliveries:
            log.info("received", extra={"messages": len(deliveries)})
        return deliveries

    def _handle(self, deliveries: Sequence[Delivery]) -> None:
        # An outage of the database is not the message's fault: it waits here, instead of using up its tries.
        retry_until_stopped(
            lambda: self._handler(deliveries),
            what="database",
            errors=DATABASE_ERRORS,
            stop=self._stop,
            beat=self._beat,
        )

    def _acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        # Deleting what is deleted already succeeds ("DeleteMessageBatch", AWS), so a retry may repeat all.
        retry_until_stopped(
            lambda: self._queue.delete(deliveries),
            what="SQS",
            errors=(*AWS_ERRORS, DeleteRefused),
            stop=self._stop,
            beat=self._beat,
        )
        log.info("deleted", extra={"messages": len(deliveries)})

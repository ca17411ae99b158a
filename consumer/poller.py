"""The poll loop: receive, handle, acknowledge, again and again.

One rule acknowledges: a message is deleted after every handler returned without failing on it. Killed before
that, it is delivered again, and handlers find it done: SQS delivers at least once, the store keeps once.
A message fails alone: its reason is recorded, it becomes visible again after a growing delay, and after
`maxReceiveCount` tries SQS moves it to the dead-letter queue.
"""

import logging
import random
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from consumer import metrics
from consumer.handler import Failures, Handler, Unavailable
from consumer.queue import Queue
from consumer.visibility import VisibilityKeeper
from pipeline.aws import MAX_BATCH
from pipeline.health import Health
from pipeline.message import Delivery
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, Dependency, explain, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.failures import FailedTry, FailureLog

LONGEST_DELAY_SECONDS = 900
PAUSE_AFTER_ERROR_SECONDS = 1.0

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class NotAcknowledged(Exception):
    """SQS answered, but did not do what was asked for every message of the batch; it may if asked again."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the pollers of one process have in common."""

    queue: Queue
    handlers: Sequence[Handler]
    failures: FailureLog
    keeper: VisibilityKeeper
    health: Health
    stop: threading.Event
    wait_seconds: int
    retry_seconds: int
    aws: Dependency = field(default_factory=lambda: Dependency("SQS"))
    database: Dependency = field(default_factory=lambda: Dependency("database"))


@dataclass(slots=True)
class Outcome:
    """What became of a batch: handled, failed, or given back because the process stops."""

    done: list[Delivery] = field(default_factory=list)
    failed: list[FailedTry] = field(default_factory=list)
    untouched: list[Delivery] = field(default_factory=list)


class Poller:
    """One loop over the queue. Several run side by side, so that AWS, database and handlers overlap."""

    def __init__(self, name: str, shared: Shared) -> None:
        """Health and metrics know it by `name`."""
        self.name = name
        self._shared = shared
        self._doing = "starting"

    @property
    def is_receiving(self) -> bool:
        """Whether it waits for messages and holds none."""
        return self._doing == "receiving"

    def run(self) -> None:
        """Poll until stopped, and finish the batch in hand."""
        while not self._shared.stop.is_set():
            try:
                self.poll_once()
            except Stopped:
                return
            except Exception:
                # Nothing was deleted, so nothing is lost. No turn was completed: if it lasts, liveness fails.
                log.exception("turn failed")
                self._shared.stop.wait(PAUSE_AFTER_ERROR_SECONDS)
            except BaseException as error:
                self._shared.health.fail(self.name, f"died of {type(error).__name__}: {explain(error)}")
                raise

    def poll_once(self) -> Outcome:
        """Take one turn; return what became of the batch. Raises Stopped where AWS is away when stopping."""
        outcome = Outcome()
        if deliveries := self._receive():
            with self._shared.keeper.holding(deliveries):
                metrics.IN_FLIGHT.inc(len(deliveries))
                try:
                    self._handle(deliveries, outcome)
                    self._record(outcome)
                    self._acknowledge(outcome)
                finally:
                    metrics.IN_FLIGHT.dec(len(deliveries))
        self._beat()
        metrics.LAST_POLL.labels(self.name).set_to_current_time()
        return outcome

    # ---- receive

    def _receive(self) -> list[Delivery]:
        """Return a batch, or nothing. A queue that does not exist is waited for, like any error of AWS."""
        self._begin("receiving")
        deliveries = self._retry(
            lambda: self._shared.queue.receive(self._shared.wait_seconds), self._shared.aws, AWS_ERRORS
        )
        if deliveries:
            log.info("received", extra={"messages": len(deliveries)})
            metrics.RECEIVED.inc(len(deliveries))
            metrics.BATCH_SIZE.observe(len(deliveries))
        return deliveries

    # ---- handle

    def _handle(self, deliveries: Sequence[Delivery], outcome: Outcome) -> None:
        """Give the batch to the handlers in portions that they take; when stopping, start no further one."""
        self._begin("handling")
        began = time.monotonic()
        size = min(getattr(handler, "batch_size", MAX_BATCH) for handler in self._shared.handlers)
        for start in range(0, len(deliveries), size):
            portion = deliveries[start : start + size]
            if start and self._shared.stop.is_set():
                outcome.untouched += portion
            else:
                self._handle_portion(portion, outcome)
                self._beat()
        metrics.HANDLING.observe(time.monotonic() - began)

    def _handle_portion(self, portion: Sequence[Delivery], outcome: Outcome) -> None:
        """Give the portion to every handler in turn; what fails in one does not reach the next."""
        left, failed = list(portion), []
        try:
            for handler in self._shared.handlers:
                failures = self._call(handler, left) if left else {}
                failed += [self._failed_try(left[place], error) for place, error in failures.items()]
                left = [delivery for place, delivery in enumerate(left) if place not in failures]
        except Stopped:
            outcome.untouched += portion
            return
        outcome.done += left
        outcome.failed += failed
        metrics.HANDLED.inc(len(left))
        now = time.time()
        for delivery in left:
            metrics.LATENCY.observe(max(0.0, now - delivery.message.time.timestamp()))

    def _call(self, handler: Handler, deliveries: Sequence[Delivery]) -> Failures:
        """Return the failures. An outage is waited out right here, so that it uses up nobody's tries."""
        try:
            failures = self._retry(lambda: handler(deliveries), self._shared.database, (Unavailable,))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is recorded as the reason
            return dict.fromkeys(range(len(deliveries)), error)
        return failures or {}

    def _failed_try(self, delivery: Delivery, error: Exception) -> FailedTry:
        limit = self._retry(self._shared.queue.max_receive_count, self._shared.aws, AWS_ERRORS)
        failed = FailedTry(
            delivery,
            error_type=type(error).__name__,
            error=explain(error),
            traceback="".join(traceback.format_exception(error)),
            last=limit is not None and delivery.receive_count >= limit,
        )
        metrics.FAILED.labels(failed.error_type).inc()
        metrics.DEAD_LETTERED.inc(failed.last)
        fields = {
            "message_id": delivery.message.id,
            "receive_count": delivery.receive_count,
            "error": f"{failed.error_type}: {failed.error}",
        }
        log.warning("dead letter" if failed.last else "left for retry", extra=fields)
        return failed

    # ---- acknowledge

    def _record(self, outcome: Outcome) -> None:
        """Keep the reasons, and note which earlier failures have come to a good end, before SQS is told."""
        self._begin("recording")

        def record() -> None:
            self._shared.failures.record(outcome.failed)
            self._shared.failures.resolve(outcome.done)

        try:
            self._retry(record, self._shared.database, DATABASE_ERRORS)
        except Stopped:
            # Handed back, they fail once more, with their reason.
            outcome.untouched += [failed.delivery for failed in outcome.failed]
            outcome.failed = []

    def _acknowledge(self, outcome: Outcome) -> None:
        """Delete what is done; let the rest become visible again, what failed after a delay."""
        self._begin("acknowledging")
        queue = self._shared.queue
        if outcome.done:
            self._ask_for_each(queue.delete, outcome.done)
            log.info("deleted", extra={"messages": len(outcome.done)})
            metrics.DELETED.inc(len(outcome.done))
        seconds = {failed.delivery: self._delay(failed) for failed in outcome.failed}
        seconds |= dict.fromkeys(outcome.untouched, 0)
        if seconds:
            self._shared.keeper.release(seconds)
            self._ask_for_each(lambda left: queue.hide({one: seconds[one] for one in left}), list(seconds))

    def _delay(self, failed: FailedTry) -> int:
        """Return the seconds until the next try, doubled with each and jittered; 0 if no try is left."""
        if failed.last:
            return 0
        doubled: int = self._shared.retry_seconds * 2 ** min(failed.delivery.receive_count - 1, 20)
        return round(min(doubled, LONGEST_DELAY_SECONDS) * random.uniform(0.5, 1))

    def _ask_for_each(
        self, call: Callable[[Sequence[Delivery]], list[Delivery]], deliveries: Sequence[Delivery]
    ) -> None:
        """Call with those that are left until none is: a batch can succeed in part."""
        left = list(deliveries)

        def attempt() -> None:
            left[:] = call(left)
            if left:
                raise NotAcknowledged(f"{len(left)} messages of a batch")

        self._retry(attempt, self._shared.aws, (*AWS_ERRORS, NotAcknowledged))

    # ---- signs of life

    def _retry(
        self, call: Callable[[], Result], dependency: Dependency, errors: tuple[type[Exception], ...]
    ) -> Result:
        return retry_until_stopped(
            call, dependency=dependency, errors=errors, stop=self._shared.stop, beat=self._beat
        )

    def _begin(self, doing: str) -> None:
        self._doing = doing
        self._shared.health.doing(self.name, doing)

    def _beat(self) -> None:
        self._shared.health.beat(self.name)

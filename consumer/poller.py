"""The poll loop: receive, handle, record, acknowledge, and again.

A message is deleted only after every handler has returned without failing on it. If the process is killed
before that, SQS delivers the message again and the handlers find it done: SQS delivers at least once, the
store keeps one copy.

Messages fail one by one. The reason is recorded, the message becomes visible again after a growing delay, and
after `maxReceiveCount` tries SQS moves it to the dead-letter queue.
"""

import functools
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from consumer import metrics
from consumer.handler import Failures, Handler, Unavailable
from consumer.order import AnyOrder
from consumer.queue import Queue
from consumer.visibility import VisibilityKeeper
from pipeline.aws import MAX_BATCH
from pipeline.health import Health
from pipeline.message import ORIGINAL_ID, TEXT, Delivery, can_carry_original_id
from pipeline.redaction import NO_MASK, Mask
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, Dependency, explain, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.failures import FailedTry, FailureLog
from pipeline.store.redrives import Redrives

MAX_DELAY_SECONDS = 900
PAUSE_AFTER_ERROR_SECONDS = 1.0

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class NotAcknowledged(Exception):
    """SQS responded, but left some messages of the batch as they were; a repeated request may succeed."""


@dataclass(frozen=True, slots=True)
class PollerContext:
    """What the pollers of one process share."""

    queue: Queue
    handlers: Sequence[Handler]
    failures: FailureLog
    redrives: Redrives
    keeper: VisibilityKeeper
    health: Health
    stop: threading.Event
    wait_seconds: int
    retry_seconds: int
    order: AnyOrder
    mask: Mask = NO_MASK  # of what errors may quote
    aws: Dependency = field(default_factory=lambda: Dependency("SQS"))
    # Apart from `aws`: who may receive need not be allowed to delete.
    acknowledging: Dependency = field(default_factory=lambda: Dependency("SQS, to acknowledge messages"))
    database: Dependency = field(default_factory=lambda: Dependency("database"))


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of the messages of a batch: each is in one of these lists.

    Untouched are those that are handed back to the queue: because the process stops, or because of the order.
    """

    done: list[Delivery] = field(default_factory=list)
    failed: list[FailedTry] = field(default_factory=list)
    untouched: list[Delivery] = field(default_factory=list)

    def __add__(self, other: "BatchOutcome") -> "BatchOutcome":
        """Return the outcome of both taken together."""
        return BatchOutcome(
            self.done + other.done, self.failed + other.failed, self.untouched + other.untouched
        )

    def without_failures(self) -> "BatchOutcome":
        """Return the outcome with the failed messages among those that are handed back."""
        return BatchOutcome(self.done, untouched=self.untouched + [failed.delivery for failed in self.failed])


class Poller:
    """One loop over the queue. Several run side by side, so that AWS, database and handlers overlap."""

    def __init__(self, name: str, context: PollerContext) -> None:
        """Health and metrics use `name` for this poller."""
        self.name = name
        self._context = context
        self._metrics = metrics.QueueMetrics(context.queue.name)
        self._doing = "starting"

    @property
    def is_receiving(self) -> bool:
        """Whether it waits for messages and holds none."""
        return self._doing == "receiving"

    def run(self) -> None:
        """Poll until asked to stop, and finish the current batch."""
        while not self._context.stop.is_set():
            try:
                self.poll_once()
            except Stopped:
                return
            except Exception:
                # Nothing was deleted, so nothing is lost. If this goes on, no turn is completed and liveness
                # fails.
                log.exception("turn failed")
                self._context.stop.wait(PAUSE_AFTER_ERROR_SECONDS)
            except BaseException as error:
                reason = self._context.mask.error(explain(error))
                self._context.health.fail(self.name, f"died of {type(error).__name__}: {reason}")
                raise

    def poll_once(self) -> BatchOutcome:
        """Receive and process one batch. Raises Stopped if AWS is away when the process should stop."""
        deliveries = self._receive()
        outcome = self._process(deliveries) if deliveries else BatchOutcome()
        self._beat()
        metrics.LAST_POLL.labels(self._metrics.queue, self.name).set_to_current_time()
        return outcome

    def _process(self, deliveries: Sequence[Delivery]) -> BatchOutcome:
        """Handle, record and acknowledge a batch, which stays hidden from other consumers meanwhile."""
        with self._context.keeper.holding(deliveries):
            self._metrics.in_flight.inc(len(deliveries))
            try:
                handled = self._unless_stopped(
                    lambda: self._handle(self._recognise(deliveries)),
                    otherwise=BatchOutcome(untouched=list(deliveries)),
                )
                outcome = self._unless_stopped(
                    lambda: self._record(handled),
                    # Failures are only reported to SQS once their reason is recorded: these will fail again.
                    otherwise=handled.without_failures(),
                )
                self._acknowledge(deliveries, outcome)
            finally:
                self._metrics.in_flight.dec(len(deliveries))
        return outcome

    # ---- receive

    def _receive(self) -> list[Delivery]:
        """Return a batch, or nothing. A queue that does not exist yet is waited for, like any AWS error."""
        self._begin("receiving")
        wait_seconds = self._context.wait_seconds
        receive = self._context.queue.receiver(wait_seconds, self._context.order.batch_size(wait_seconds))
        deliveries = self._retry(receive, self._context.aws, AWS_ERRORS)
        if deliveries:
            log.info("received", extra={"messages": len(deliveries), "queue": self._metrics.queue})
            self._metrics.received.inc(len(deliveries))
            self._metrics.batch_size.observe(len(deliveries))
        return deliveries

    def _recognise(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Return the deliveries; texts that a redrive sent have the ids they had before."""
        self._begin("recognising")
        return [
            self._with_original_id(delivery) if _may_be_redriven(delivery) else delivery
            for delivery in deliveries
        ]

    def _with_original_id(self, delivery: Delivery) -> Delivery:
        found = self._retry(
            lambda: self._context.redrives.original_id(delivery), self._context.database, DATABASE_ERRORS
        )
        return replace(delivery, message=replace(delivery.message, id=found)) if found else delivery

    # ---- handle

    def _handle(self, deliveries: Sequence[Delivery]) -> BatchOutcome:
        """Pass the batch to the handlers in portions of a size that all accept.

        When stopping, only one, and what would die of being handed back: SQS counts its receipt as a try.
        """
        self._begin("handling")
        began = time.monotonic()
        size = min(getattr(handler, "batch_size", MAX_BATCH) for handler in self._context.handlers)
        order = self._context.order
        portion, left = order.next_portion(deliveries, size)
        outcome = self._handle_unless_stopped(portion)
        while left:
            if self._context.stop.is_set():
                has_tries, left = self._split_by_tries(left)
                outcome += BatchOutcome(untouched=has_tries)
            behind, left = order.hold_back(left, outcome.failed, outcome.untouched)
            portion, left = order.next_portion(left, size)
            outcome += BatchOutcome(untouched=behind)
            if portion:
                outcome += self._handle_unless_stopped(portion)
        self._metrics.handling.observe(time.monotonic() - began)
        return outcome

    def _split_by_tries(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Return those that SQS will deliver again, and the rest."""
        limit = self._unless_stopped(self._max_tries, otherwise=None)
        last = [delivery for delivery in deliveries if _is_last_try(delivery, limit)]
        return [delivery for delivery in deliveries if delivery not in last], last

    def _max_tries(self) -> int | None:
        return self._retry(self._context.queue.max_receive_count, self._context.aws, AWS_ERRORS)

    def _handle_unless_stopped(self, portion: Sequence[Delivery]) -> BatchOutcome:
        outcome = self._unless_stopped(
            functools.partial(self._handle_portion, portion),
            otherwise=BatchOutcome(untouched=list(portion)),
        )
        self._beat()
        return outcome

    def _handle_portion(self, portion: Sequence[Delivery]) -> BatchOutcome:
        """Pass the portion to each handler in turn; messages that fail in one do not reach the next."""
        left = [delivery for delivery in portion if delivery.unreadable is None]
        failed = [
            self._failed_try(delivery, delivery.unreadable) for delivery in portion if delivery.unreadable
        ]
        for handler in self._context.handlers:
            failures = self._call(handler, left) if left else {}
            failed += [self._failed_try(left[place], error) for place, error in failures.items()]
            left = [delivery for place, delivery in enumerate(left) if place not in failures]
        self._count_handled(left)
        return BatchOutcome(done=left, failed=failed)

    def _count_handled(self, deliveries: Sequence[Delivery]) -> None:
        self._metrics.handled.inc(len(deliveries))
        now = time.time()
        for delivery in deliveries:
            self._metrics.latency.observe(max(0.0, now - delivery.message.time.timestamp()))

    def _call(self, handler: Handler, deliveries: Sequence[Delivery]) -> Failures:
        """Return the failures; a handler that raises is asked about each message alone.

        An outage is waited out here, so that it uses up no message's tries.
        """
        try:
            return self._retry(lambda: self._ask(handler, deliveries), self._context.database, (Unavailable,))
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is recorded as the reason
            if len(deliveries) == 1:
                return {0: error}
        return {
            place: error
            for place, delivery in enumerate(deliveries)
            for error in self._call_alone(handler, delivery).values()
        }

    def _ask(self, handler: Handler, deliveries: Sequence[Delivery]) -> Failures:
        try:
            return handler(deliveries) or {}
        except Unavailable as error:
            if isinstance(error.__cause__, DATABASE_ERRORS):  # which quote no message
                raise
            raise Unavailable(self._context.mask.error(explain(error))) from error

    def _call_alone(self, handler: Handler, delivery: Delivery) -> Failures:
        if self._context.stop.is_set():
            raise Stopped
        self._beat()
        return self._call(handler, [delivery])

    def _failed_try(self, delivery: Delivery, error: Exception) -> FailedTry:
        failed = FailedTry(
            delivery,
            error_type=type(error).__name__,
            error=self._context.mask.error(explain(error)),
            traceback=_format_traceback(error, self._context.mask),
            last=_is_last_try(delivery, self._max_tries()),
        )
        metrics.FAILED.labels(delivery.queue, failed.error_type).inc()
        self._metrics.dead_lettered.inc(failed.last)
        fields = {
            "message_id": delivery.message.id,
            "receive_count": delivery.receive_count,
            "queue": delivery.queue,
            "error": f"{failed.error_type}: {failed.error}",
        }
        log.warning("dead letter" if failed.last else "left for retry", extra=fields)
        return failed

    # ---- record

    def _record(self, outcome: BatchOutcome) -> BatchOutcome:
        """Record why messages failed and which earlier failures are resolved, before SQS is told."""
        self._begin("recording")
        self._retry(
            lambda: self._context.failures.record(outcome.failed), self._context.database, DATABASE_ERRORS
        )
        self._retry(
            lambda: self._context.failures.resolve(outcome.done), self._context.database, DATABASE_ERRORS
        )
        return outcome

    # ---- acknowledge

    def _acknowledge(self, deliveries: Sequence[Delivery], outcome: BatchOutcome) -> None:
        """Delete what is done; make the rest visible again, after a delay if it failed."""
        self._begin("acknowledging")
        queue = self._context.queue
        if outcome.done:
            self._repeat_for_the_rest(queue.delete, outcome.done)
            log.info("deleted", extra={"messages": len(outcome.done), "queue": queue.name})
            self._metrics.deleted.inc(len(outcome.done))
        delays = {failed.delivery: self._delay(failed) for failed in outcome.failed}
        delays |= dict.fromkeys(outcome.untouched, 0)
        seconds = self._context.order.settle(deliveries, delays)
        if seconds:
            self._context.keeper.release(seconds)
            self._repeat_for_the_rest(
                lambda left: queue.hide({delivery: seconds[delivery] for delivery in left}), list(seconds)
            )

    def _delay(self, failed: FailedTry) -> int:
        """Return the seconds until the next try, doubled with every try and jittered; 0 after the last."""
        if failed.last:
            return 0
        doubled: int = self._context.retry_seconds * 2 ** min(failed.delivery.receive_count - 1, 20)
        return round(min(doubled, MAX_DELAY_SECONDS) * random.uniform(0.5, 1))

    def _repeat_for_the_rest(
        self, call: Callable[[Sequence[Delivery]], list[Delivery]], deliveries: Sequence[Delivery]
    ) -> None:
        """Call until no delivery is left: a batch can succeed in part."""
        left = list(deliveries)

        def attempt() -> None:
            left[:] = call(left)
            if left:
                raise NotAcknowledged(f"{len(left)} messages of a batch")

        self._retry(attempt, self._context.acknowledging, (*AWS_ERRORS, NotAcknowledged))

    # ---- waiting, stopping, signs of life

    def _unless_stopped(self, step: Callable[[], Result], otherwise: Result) -> Result:
        """Return what the step returns, or `otherwise` if it has to be given up because the process stops."""
        try:
            return step()
        except Stopped:
            return otherwise

    def _retry(
        self, call: Callable[[], Result], dependency: Dependency, errors: tuple[type[Exception], ...]
    ) -> Result:
        return retry_until_stopped(
            call, dependency=dependency, errors=errors, stop=self._context.stop, beat=self._beat
        )

    def _begin(self, doing: str) -> None:
        self._doing = doing
        self._context.health.doing(self.name, doing)

    def _beat(self) -> None:
        self._context.health.beat(self.name)


def _is_last_try(delivery: Delivery, limit: int | None) -> bool:
    return limit is not None and delivery.receive_count >= limit


def _may_be_redriven(delivery: Delivery) -> bool:
    """Tell whether this is a text identified by its SQS id, which a redrive may have changed."""
    message = delivery.message
    if message.type != TEXT or message.id != delivery.message_id:
        return False
    return ORIGINAL_ID in delivery.attributes or not can_carry_original_id(message.body, delivery.attributes)


def _format_traceback(error: Exception, mask: Mask) -> str:
    try:
        return mask.traceback(error)
    except Exception:  # noqa: BLE001 - an exception of a handler, whose parts cannot be read
        return ""

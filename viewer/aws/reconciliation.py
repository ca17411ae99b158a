"""Reconciliation: dead is what the dead-letter queue holds, lost is what no queue holds any more.

SQS cannot be asked which messages a queue holds without receiving them, which would hide them from everybody
else. What can be known without that:

- when the queues were created: what was last seen before that is not in them (an emulator that restarted);
- how long they retain messages;
- that they are empty, if SQS says so for a while;
- from an emulator, which messages they hold (see queue_inspection.py).

A redrive receives, and so it knows more: see redrive.py.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain
from pipeline.store.dead_letters import FailureReader, OpenFailures
from viewer.aws.fetching import FetchError
from viewer.aws.queue_inspection import CannotLook, Described, Queues

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

INTERVAL_SECONDS = 5.0
# The clocks of SQS and of the store may differ. On AWS, a queue can be created anew 60 seconds after it was
# deleted ("DeleteQueue", AWS).
MAX_CLOCK_DIFFERENCE = timedelta(seconds=60)
# The counts of SQS take about a minute to become consistent ("GetQueueAttributes", AWS).
EMPTY_SECONDS = 120.0
# SQS may be moving a message from one queue to the other when both are looked into.
SECOND_LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Queue = tuple[Described, Described]


class Reconciler:
    """Keeps what is recorded of one queue and its dead-letter queue in agreement with them."""

    def __init__(self, queues: Queues, failures: FailureReader) -> None:
        """Send no request yet."""
        self._queues, self._failures = queues, failures
        self._looked_at: object = None
        self._empty_since: tuple[float, datetime] | None = None

    def reconcile(self) -> int:
        """Record what was lost, and what was found again; return how many messages were lost.

        Raises what boto3 and psycopg raise, and FetchError.
        """
        name = self._queues.name
        failed = self._failures.open_failures(name)
        if not failed.count:
            self._empty_since = None
            return 0
        queue, dead = self._queues.described()
        both = (queue, dead or queue)
        created = min(one.created_at for one in both)
        retention = max(one.retention for one in both)
        lost = self._failures.mark_lost(name, created - MAX_CLOCK_DIFFERENCE, "queue")
        lost += self._failures.mark_expired(name, failed.read_at - retention - MAX_CLOCK_DIFFERENCE)
        lost += self._mark_absent(failed, both)
        lost += self._mark_missing(failed, both)
        if lost:
            log.warning("messages are lost: their queue no longer holds them", extra={"messages": lost})
        return lost

    def _mark_absent(self, failed: OpenFailures, both: Queue) -> int:
        """Compare with what an emulator lists, if anything has changed since it was last compared."""
        state = (failed.count, failed.changed_at, both)
        if not failed.in_place or state == self._looked_at:
            return 0
        lost = 0
        try:
            lost = self._compare(failed.read_at, both)
        except CannotLook as error:
            log.debug("the queues cannot be looked into", extra={"reason": explain(error)})
        self._looked_at = state
        return lost

    def _compare(self, read_at: datetime, both: Queue) -> int:
        name = self._queues.name
        present = self._look(both)
        if self._failures.count_absent(name, present, read_at):
            time.sleep(SECOND_LOOK_SECONDS)
            present |= self._look(both)
        created = max(one.created_at for one in both)
        return self._failures.mark_absent(name, present, read_at, created)

    def _look(self, both: Queue) -> set[str]:
        """Return the SQS ids in both queues. The dead-letter queue comes last, so that what moves is seen."""
        waiting, dead = ({one.message_id for one in self._queues.look(queue.depth)} for queue in both)
        if both[0] is not both[1]:
            self._failures.mark_found(self._queues.name, dead - waiting)
        return waiting | dead

    def _mark_missing(self, failed: OpenFailures, both: Queue) -> int:
        """Give up what should be in a queue that has been empty for a while."""
        if any(one.depth.total for one in both):
            self._empty_since = None
            return 0
        if self._empty_since is None:
            self._empty_since = (time.monotonic(), failed.read_at)
        began, at = self._empty_since
        if time.monotonic() - began < EMPTY_SECONDS:
            return 0
        return self._failures.mark_lost(self._queues.name, at, "missing")


def reconcile_until_stopped(sqs: "SQSClient", failures: FailureReader, stop: threading.Event) -> None:
    """Every few seconds, reconcile each queue that messages have failed in."""
    reconcilers: dict[str, Reconciler] = {}
    while not stop.wait(INTERVAL_SECONDS):
        for name in _tried(failures.open_queues) or []:
            reconciler = reconcilers.setdefault(name, Reconciler(Queues(sqs, name), failures))
            _tried(reconciler.reconcile)


def _tried(call: Callable[[], Result]) -> Result | None:
    """Return what the call returns; log why it failed. A queue that cannot be asked stays as it is known."""
    try:
        return call()
    except (*AWS_ERRORS, *DATABASE_ERRORS, FetchError) as error:
        log.debug("not reconciled", extra={"reason": explain(error)})
    except Exception:
        log.exception("not reconciled")
    return None

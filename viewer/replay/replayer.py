"""Making replays: one message after the other, in a thread of this viewer.

It sends a message only once the store has it noted, and none after the store has given it up. So whatever
happens to this viewer, no message is sent twice, and at most one is sent that is not counted.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

from pipeline.message import storable
from pipeline.problems import Problem
from pipeline.redaction import Mask
from pipeline.retry import DATABASE_ERRORS, Dependency, explain, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.replays import Count, Replays, Status, Wanted
from viewer.aws.copying import CannotCopy, Copier, Identity
from viewer.aws.targets import Target
from viewer.replay.sources import Item, NotReplayable, Source

# Each message waits for the answer to the one before it, which keeps their order.
MAX_PER_SECOND = 100
MAX_SPAN = timedelta(hours=24)
# How often a replay says that it is alive while it waits, and hears that it is cancelled.
BEAT_SECONDS = 1.0
MAX_REASONS = 20
MAX_REASON_CHARACTERS = 300
OTHERS = "other reasons"
STOPPED = "its viewer was stopped"

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class AlreadyRunning(Exception):
    """Another replay is running."""


class Replayer:
    """Makes replays, one at a time for each store."""

    def __init__(self, replays: Replays, copier: Copier, stop: threading.Event, mask: Mask) -> None:
        """Setting `stop` ends what is running."""
        self._replays, self._copier, self._stop, self._mask = replays, copier, stop, mask

    def begin(self, wanted: Wanted, source: Source, identity: Identity | None, target: Target | None) -> int:
        """Begin to publish the messages of this source; return the id of the replay.

        All go to the target, else each to where it came from. Raises AlreadyRunning, and
        psycopg.OperationalError.
        """
        replay = self._replays.begin(wanted)
        if replay is None:
            raise AlreadyRunning("another replay is running: one at a time")

        def send(item: Item) -> None:
            self._copier.publish(source.load(item), identity, target)

        run = Run(replay, self._replays, send, self._stop, self._mask)
        gaps = gaps_of(source.items, wanted.per_second)
        log.info("replay begun", extra={"replay": replay, "messages": len(source.items)})
        threading.Thread(name="replay", target=lambda: run.run(source.items, gaps), daemon=True).start()
        return replay


class Run:
    """One replay under way. `send` publishes a message, and raises what Copier.publish raises."""

    def __init__(
        self,
        replay: int,
        replays: Replays,
        send: Callable[[Item], None],
        stop: threading.Event,
        mask: Mask,
    ) -> None:
        """Send nothing yet."""
        self._replay, self._replays, self._send_one, self._stop = replay, replays, send, stop
        self._mask, self._dependency = mask, Dependency("database")
        self._count = Count()
        self._reasons: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, items: Sequence[Item], gaps: Sequence[float]) -> None:
        """Send them with these gaps, in seconds before each; the store says how it ended."""
        try:
            status, reason = self._send_all(items, gaps)
        except Stopped:
            status, reason = "interrupted", STOPPED
        except Exception as error:
            log.exception("replay failed")
            status, reason = "failed", storable(self._mask.error(explain(error)))
        self._end(status, reason)

    def _send_all(self, items: Sequence[Item], gaps: Sequence[float]) -> tuple[Status, str | None]:
        due = time.monotonic()
        for item, gap in zip(items, gaps, strict=True):
            due += gap
            if not self._wait_until(due) or not self._note(item.number):
                self._count.in_hand = None
                return "cancelled", None
            due = max(due, time.monotonic())  # what is late is not caught up
            try:
                self._retry(lambda item=item: self._send(item))  # type: ignore[misc]
            except Problem as problem:
                return "failed", storable(self._shown(problem.detail))
        self._count.in_hand = None
        return "completed", None

    def _send(self, item: Item) -> None:
        """Send one and count it. Raises the Problem that says that the endpoint does not answer."""
        try:
            self._send_one(item)
        except CannotCopy as error:
            self._tell("skipped", str(error), item)
        except Problem as problem:
            if problem.status >= 500:
                raise
            self._tell("failed", self._shown(problem.detail), item)
        else:
            self._count.sent += 1

    def _tell(self, outcome: str, reason: str, item: Item) -> None:
        if outcome == "failed":
            self._count.failed += 1
        else:
            self._count.skipped += 1
        key = outcome, storable(reason[:MAX_REASON_CHARACTERS])
        if key not in self._reasons and len(self._reasons) >= MAX_REASONS:
            key = outcome, OTHERS
        found = self._reasons.setdefault(
            key, {"outcome": outcome, "reason": key[1], "count": 0, "first": item.number}
        )
        found["count"] += 1
        self._count.reasons = [*self._reasons.values()]

    def _shown(self, detail: str) -> str:
        """Return why SNS or SQS refused a message. What it says may quote a masked value."""
        before, said, _ = detail.partition(" operation")
        return before + said if self._mask else detail

    def _wait_until(self, due: float) -> bool:
        """Wait, and tell meanwhile that this goes on; return whether it should. Raises Stopped."""
        while (left := due - time.monotonic()) > 0:
            if self._stop.wait(min(left, BEAT_SECONDS)):
                break
            if left > BEAT_SECONDS and not self._note(None):
                return False
        if self._stop.is_set():
            self._count.in_hand = None
            raise Stopped
        return True

    def _note(self, in_hand: int | None) -> bool:
        self._count.in_hand = in_hand
        return self._retry(lambda: self._replays.note(self._replay, self._count))

    def _end(self, status: Status, reason: str | None) -> None:
        counts = {"sent": self._count.sent, "failed": self._count.failed, "skipped": self._count.skipped}
        log.info("replay ended", extra={"replay": self._replay, "status": status, **counts})
        try:
            self._retry(lambda: self._replays.end(self._replay, self._count, status, reason))
        except Stopped:
            log.warning("the end of a replay is not recorded", extra={"replay": self._replay})

    def _retry(self, call: Callable[[], Result]) -> Result:
        """Return what the call returns, once the database is back. Raises Stopped."""
        return retry_until_stopped(
            call,
            dependency=self._dependency,
            errors=DATABASE_ERRORS,
            stop=self._stop,
            beat=lambda: None,
        )


def gaps_of(items: Sequence[Item], per_second: int | None) -> list[float]:
    """Return the seconds to wait before each message: so many a second, or those that were between them."""
    if per_second:
        return [0.0] + [1 / per_second] * (len(items) - 1)
    times = [item.time for item in items]
    return [0.0] + [(later - before).total_seconds() for before, later in pairwise(times)]


def check_span(source: Source) -> None:
    """Raise NotReplayable if the messages of a source cannot be sent at their own pace."""
    span = source.items[-1].time - source.items[0].time
    if span > MAX_SPAN:
        hours = MAX_SPAN.total_seconds() / 3600
        raise NotReplayable(
            f"at their own pace the messages would take longer than {hours:g} hours: say per_second"
        )

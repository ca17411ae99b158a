"""How many messages queues held while they were watched."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

MAX_SLOTS = 90


@dataclass(slots=True)
class _Reading:
    """What was read in one slot: the least, the most, and the last."""

    slot: int
    least: int
    most: int
    last: int


class DepthHistory:
    """The depths of many queues in the last MAX_SLOTS slots, stretches of `slot_seconds` each.

    Of each slot the most counts; one in which a queue was not read has what was read before.
    """

    def __init__(self, slot_seconds: float, clock: Callable[[], float]) -> None:
        """Know of no queue yet."""
        self.slot_seconds = slot_seconds
        self._clock = clock
        self._readings: dict[str, deque[_Reading]] = {}

    def keep(self, arns: Collection[str]) -> None:
        """Forget all but these."""
        self._readings = {arn: readings for arn, readings in self._readings.items() if arn in arns}

    def note(self, arn: str, messages: int) -> None:
        """Record how many a queue holds now."""
        slot = self._slot()
        readings = self._readings.setdefault(arn, deque(maxlen=MAX_SLOTS))
        if not readings or readings[-1].slot != slot:
            readings.append(_Reading(slot, messages, messages, messages))
        else:
            readings[-1].least = min(readings[-1].least, messages)
            readings[-1].most = max(readings[-1].most, messages)
            readings[-1].last = messages

    def of(self, arn: str) -> Sequence[int]:
        """Return the depths of a queue since it was first read, the newest last; none if all are equal."""
        now = self._slot()
        oldest = now - MAX_SLOTS + 1
        readings = self._readings.get(arn, deque())
        while len(readings) > 1 and readings[1].slot <= oldest:
            readings.popleft()
        if len({depth for one in readings for depth in (one.least, one.most)}) < 2:
            return ()
        depths: list[int] = []
        ends = [*(one.slot for one in readings), now + 1][1:]
        for one, end in zip(readings, ends, strict=True):
            if one.slot >= oldest:
                depths.append(one.most)
            depths += [one.last] * (end - max(one.slot + 1, oldest))
        return depths

    def _slot(self) -> int:
        return int(self._clock() // self.slot_seconds)

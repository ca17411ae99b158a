"""The pace of a stream: a few messages one by one, many in few writes. Time is the test's own."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.store.reader import Reader, Summary
from viewer.live.follower import BATCH_SECONDS, SINGLE_PER_SECOND, Follower
from viewer.live.hub import Following, Hub


class Flow:
    """Clock, hub and search in one: a message every `interval` seconds, and waiting moves the clock on."""

    stopping = False

    def __init__(self, interval: float) -> None:
        self.now, self._interval = 0.0, interval

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += max(0.0, seconds)

    def wait(self, seq: int) -> None:
        self.now = max(self.now, (seq + 1) * self._interval)

    def is_recent(self, seq: int) -> bool:
        del seq
        return True

    def after(self, seq: int) -> tuple[Sequence[Summary], int]:
        newest = int(self.now / self._interval + 1e-6)
        found = [SimpleNamespace(seq=number) for number in range(seq + 1, newest + 1)]
        return cast(Sequence[Summary], found), newest


def writes_of(flow: Flow, seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the seqs of each write in so many seconds."""
    monkeypatch.setattr("viewer.live.follower.time", flow)
    follower = Follower(cast(Reader, None), cast(Hub, flow), cast(Following, flow), gaps=False)
    writes, place = [], 0
    while flow.now < seconds:
        _, messages, place = follower.next(place)
        writes.append([message.seq for message in messages])
    return writes


def test_a_few_messages_are_written_one_by_one_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = writes_of(Flow(1 / (SINGLE_PER_SECOND - 1)), 10, monkeypatch)

    assert writes == [[seq + 1] for seq in range(len(writes))]
    assert len(writes) >= 10 * (SINGLE_PER_SECOND - 1)


@pytest.mark.parametrize("rate", [50, 500, 5000])
def test_many_messages_come_in_few_writes_and_none_is_missed(
    rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = writes_of(Flow(1 / rate), 10, monkeypatch)

    received = [seq for write in writes for seq in write]
    assert received == list(range(1, len(received) + 1))
    assert len(received) == pytest.approx(10 * rate, rel=0.02)
    assert len(writes) <= 10 / BATCH_SECONDS + SINGLE_PER_SECOND + 1

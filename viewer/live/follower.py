"""The follower: the pace of one stream.

A few messages are sent one by one, as they come. Many are sent in one write every tenth of a second, because
each write costs both ends more than the message in it. A reader that allows gaps (the page) is not sent more
than a person can follow: a gap says which messages were skipped, and how many.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.store.reader import Reader, Summary
from viewer.live.hub import Following, Hub

SINGLE_PER_SECOND = 20
BATCH_SECONDS = 0.1
# With gaps: a reader further behind than this, or sent more than this in a second, is sent only the newest.
MAX_BEHIND = 2000
MAX_PER_SECOND = 500
NEWEST_AFTER_GAP = 50


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that were skipped: `count` of them, from one seq to the other, both included."""

    start: int
    end: int
    count: int


class Follower:
    """Reads what comes next of a search, for one stream, and keeps its pace."""

    def __init__(self, reader: Reader, hub: Hub, following: Following, *, gaps: bool) -> None:
        """`gaps` allows it to skip messages when there are too many."""
        self._reader, self._hub, self._following, self._gaps = reader, hub, following, gaps
        self._sent: list[tuple[float, int]] = []  # when, how many: of the last second

    def next(self, seq: int) -> tuple[Gap | None, Sequence[Summary], int]:
        """Return what was skipped, the messages that follow, and the seq up to which these are all.

        Waits for a message, and between two writes when there are many. Returns no message when woken for a
        heartbeat. Raises what `Following.after` does.
        """
        if self._per_second() > SINGLE_PER_SECOND and self._following.is_recent(seq):
            self._hub.pause(self._sent[-1][0] + BATCH_SECONDS - time.monotonic())
        self._following.wait(seq)
        if self._hub.stopping:
            return None, [], seq
        messages, place = self._following.after(seq)
        gap = None
        if self._gaps and messages:
            gap, messages = self._skip(seq, messages)
            place = max(place, messages[-1].seq)
        if messages:
            self._sent.append((time.monotonic(), len(messages)))
        return gap, messages, place

    def _skip(self, seq: int, messages: Sequence[Summary]) -> tuple[Gap | None, Sequence[Summary]]:
        too_fast = self._per_second() > MAX_PER_SECOND and len(messages) > NEWEST_AFTER_GAP
        if not too_fast and not self._far_behind(seq):
            return None, messages
        newest = self._reader.find(self._following.search, limit=NEWEST_AFTER_GAP)[::-1]
        if not newest:  # deleted meanwhile
            return None, messages
        first = newest[0].seq
        count = self._reader.count(self._following.search, after=seq, before=first)
        return (Gap(seq + 1, first - 1, count) if count else None), newest

    def _far_behind(self, seq: int) -> bool:
        at_most = self._following.newest - seq
        return at_most > MAX_BEHIND and self._reader.count(self._following.search, after=seq) > MAX_BEHIND

    def _per_second(self) -> int:
        now = time.monotonic()
        while self._sent and self._sent[0][0] < now - 1:
            del self._sent[0]
        return sum(count for _, count in self._sent)

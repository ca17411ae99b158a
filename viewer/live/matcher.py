"""The matcher: finds out which of the new messages each followed search finds.

It runs apart from the tail, and there is one for the searches that an index could answer and one for those
that read texts: what somebody searches for delays neither the messages of readers without a search nor those
of cheaper searches. Each query has a time limit. A search that exceeds it alone ends its own streams.
"""

import logging
import threading
import time
from collections.abc import Sequence
from itertools import accumulate

from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.store.matching import MATCH_SECONDS, Matching
from pipeline.store.reader import Summary
from pipeline.store.searches import SearchTooSlow
from viewer.live.hub import PAGE, Following, Hub

log = logging.getLogger(__name__)

# What one query should take, by what its searches took before. Those that cost least go first.
QUERY_SECONDS = 0.1
OVERHEAD_SECONDS = 0.002
MIN_BYTES = 50_000  # a query with less takes about as long
MAX_TOGETHER = 200
MAX_ATTEMPTS = 3
IDLE_SECONDS = 5.0
RETRY_SECONDS = 1.0
TOO_SLOW = (
    f"this search took more than {MATCH_SECONDS:g} s to match new messages, so its stream was ended: "
    "search for words instead of phrases and punctuation, or for less"
)


class Matcher:
    """Matches the searches of one kind, in a thread of its own."""

    def __init__(self, matching: Matching, hub: Hub, stop: threading.Event, *, scanning: bool) -> None:
        """Do nothing until `run`. `scanning`: the searches that read texts, else the others."""
        self._matching, self._hub, self._stop, self._scanning = matching, hub, stop, scanning

    def run(self) -> None:
        """Match until stopped."""
        while not self._stop.is_set():
            try:
                if not self.match_some():
                    self._hub.wait_for_new(self._scanning, IDLE_SECONDS)
            except DATABASE_ERRORS as error:
                log.debug("not matched", extra={"reason": explain(error)})
                self._stop.wait(RETRY_SECONDS)
            except Exception:
                log.exception("not matched")
                self._stop.wait(RETRY_SECONDS)

    def match_some(self) -> bool:
        """Match the cheapest searches that lag behind; return whether there were any."""
        behind = sorted(self._hub.behind(self._scanning), key=_cost)
        if not behind:
            return False
        first = behind[0]
        messages = self._hub.recent_after(first.newest)
        if messages is None:
            # Its followers read what they missed from the store.
            self._hub.forget_before(first)
            return True
        messages = _affordable_messages(messages, first.seconds_per_byte)
        size = max(MIN_BYTES, sum(message.size for message in messages))
        lagging = [one for one in behind if first.newest <= one.newest < messages[-1].seq]
        group = _affordable_searches(lagging, size)
        self._match(group, messages, size)
        return True

    def _match(self, group: Sequence[Following], messages: Sequence[Summary], size: int) -> None:
        places = [following.place for following in group]
        searches = [following.search for following in group]
        began = time.monotonic()
        try:
            found = self._matching.match(searches, after=group[0].newest, before=messages[-1].seq + 1)
        except SearchTooSlow:
            for following in group:
                following.seconds_per_byte = MATCH_SECONDS / size  # from now on it is asked about alone
            if len(group) == 1:
                self._give_up(group[0])
            return
        seconds = max(0.0, time.monotonic() - began - OVERHEAD_SECONDS) / len(group)
        for following, place, seqs in zip(group, places, found, strict=True):
            following.seconds_per_byte, following.attempts = seconds / size, 0
            new = [one for one in messages if one.seq in seqs and one.seq > place.newest]
            self._hub.found(following, place, messages[-1].seq, new)

    def _give_up(self, following: Following) -> None:
        """End its streams, unless it may succeed with fewer messages, or when the server is less busy."""
        following.attempts += 1
        if following.attempts >= MAX_ATTEMPTS:
            self._hub.refuse(following.search, TOO_SLOW)


def _cost(following: Following) -> tuple[int, float]:
    # What was measured also tells how busy the server was.
    return following.search.scans, following.seconds_per_byte


def _affordable_messages(messages: Sequence[Summary], seconds_per_byte: float) -> Sequence[Summary]:
    """Return the first of them, as many as one query should match with a search of this cost."""
    sizes = accumulate(message.size for message in messages)
    affordable = sum(size * seconds_per_byte <= QUERY_SECONDS for size in sizes)
    return messages[: max(1, min(affordable, PAGE))]


def _affordable_searches(behind: Sequence[Following], size: int) -> Sequence[Following]:
    """Return the first of them, as many as one query should match with so many bytes of messages."""
    costs = accumulate(following.seconds_per_byte * size for following in behind)
    affordable = sum(cost <= QUERY_SECONDS for cost in costs)
    return behind[: max(1, min(affordable, MAX_TOGETHER))]

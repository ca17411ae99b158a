"""The hub: which searches are followed, and the newest messages that each of them finds.

The tail tells it what is new, the matchers which of that each search finds. A follower brings its own place,
a seq, and is given what comes after it: from memory if it keeps up, from the store if it is further behind.
So a slow follower costs the others nothing, and none is skipped or cut off.
"""

import contextlib
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from pipeline.search.sql import EVERYTHING, Search
from pipeline.store.reader import Reader, Summary
from pipeline.store.searches import SearchFailed
from pipeline.ttl_cache import TtlCache

MAX_RECENT = 1000
PAGE = 500
# What a follower is given at once: it holds that until its client has taken it.
MAX_GIVEN = 50
# Followers that read what they missed from the store, at the same time.
MAX_CATCHING_UP = 2
# A search that was too expensive is not followed again for so long, so that no client reconnects into it.
REFUSED_SECONDS = 60.0
MAX_REFUSED = 1000
# What a search that reads texts, or none, is thought to cost until it was matched: see Matcher.
ASSUMED_SECONDS_PER_BYTE = {False: 1e-8, True: 1e-6}

seq_of = attrgetter("seq")


@dataclass(frozen=True, slots=True)
class Recent:
    """All messages that a search finds after `floor` and up to `newest`, oldest first."""

    floor: int
    newest: int
    messages: tuple[Summary, ...] = ()

    def extended(self, newest: int, messages: Sequence[Summary]) -> "Recent":
        """Return it with the messages found up to a new `newest`; the oldest go if there are too many."""
        together = (*self.messages, *messages)
        if len(together) <= MAX_RECENT:
            return Recent(self.floor, newest, together)
        return Recent(together[-MAX_RECENT - 1].seq, newest, together[-MAX_RECENT:])

    def has_more(self, seq: int) -> bool:
        """Whether a message follows `seq`, or may follow it in the store."""
        return self.floor > seq or bool(self.messages and self.messages[-1].seq > seq)

    def after(self, seq: int) -> Sequence[Summary]:
        """Return the messages that follow `seq`, which must not lie below `floor`."""
        return self.messages[bisect_right(self.messages, seq, key=seq_of) :]


class Following:
    """One search, shared by all who follow it. Followers take no lock: there may be thousands of them."""

    def __init__(
        self,
        reader: Reader,
        search: Search,
        stop: threading.Event,
        newest: int,
        catching_up: threading.Semaphore,
    ) -> None:
        """Hold no message up to `newest` in memory."""
        self._reader, self.search, self._stop = reader, search, stop
        self._catching_up = catching_up
        self._recent = Recent(newest, newest)
        self._changed = threading.Event()  # replaced each time it is set
        self._refused: SearchFailed | None = None
        self._quiet_turns = 0
        self.followers = 0
        # The matcher's: what matching took, and how often it failed since it succeeded.
        self.seconds_per_byte = ASSUMED_SECONDS_PER_BYTE[search.scans > 0]
        self.attempts = 0

    @property
    def newest(self) -> int:
        """The seq up to which the search was matched."""
        return self._recent.newest

    @property
    def place(self) -> Recent:
        """What is held in memory now."""
        return self._recent

    @property
    def is_refused(self) -> bool:
        """Whether it is followed no more."""
        return self._refused is not None

    def wait(self, seq: int, timeout: float | None = None) -> None:
        """Return when a message follows `seq`, after `timeout` seconds, or when woken without a message."""
        changed = self._changed
        if not (self._recent.has_more(seq) or self._refused or self._stop.is_set()):
            changed.wait(timeout)

    def after(self, seq: int) -> tuple[Sequence[Summary], int]:
        """Return the messages that follow `seq`, oldest first, and the seq up to which these are all.

        Raises psycopg.OperationalError if it must read the store and cannot, and SearchFailed if the search
        costs too much.
        """
        if self._refused:
            raise self._refused
        recent = self._recent
        if seq >= recent.floor:
            messages = recent.after(seq)
            newest = max(seq, recent.newest)
        else:
            with self._catching_up:
                messages = self._reader.find(self.search, after=seq, limit=MAX_GIVEN + 1)[::-1]
            newest = max(recent.newest, messages[-1].seq if messages else 0)
        if len(messages) <= MAX_GIVEN:
            return messages, newest
        return messages[:MAX_GIVEN], messages[MAX_GIVEN - 1].seq

    def is_recent(self, seq: int) -> bool:
        """Whether all that follows `seq` is in memory."""
        return seq >= self._recent.floor

    def extend(self, newest: int, messages: Sequence[Summary]) -> None:
        """Add the messages found up to `newest`."""
        self._recent = self._recent.extended(newest, messages)
        if messages:
            self._quiet_turns = 0
            self.wake()

    def forget(self, newest: int) -> None:
        """Hold no message up to `newest` any more."""
        self._recent = Recent(newest, newest)
        self.wake()

    def refuse(self, reason: SearchFailed) -> None:
        """Let every follower end with this reason."""
        self._refused = reason
        self.wake()

    def wake_if_quiet(self) -> None:
        """End every wait at every other call, as long as no message comes."""
        self._quiet_turns += 1
        if self._quiet_turns % 2 == 0:
            self.wake()

    def wake(self) -> None:
        """End every wait."""
        changed, self._changed = self._changed, threading.Event()
        changed.set()


class Hub:
    """Knows who follows what. Followers wait and read in their own threads."""

    def __init__(self, reader: Reader, stop: threading.Event, heartbeat_seconds: float = 15) -> None:
        """Know of no message yet. Every wait of a follower ends after at most `heartbeat_seconds`."""
        self._reader, self._stop = reader, stop
        self._heartbeat_seconds = heartbeat_seconds
        self._changing = threading.Lock()
        self._catching_up = threading.Semaphore(MAX_CATCHING_UP)
        self._everything = Following(reader, EVERYTHING, stop, 0, self._catching_up)
        self._searches: dict[str, Following] = {}  # by their SQL
        self._refused: dict[str, tuple[float, SearchFailed]] = {}  # until when, by their SQL
        self._new = {scanning: threading.Event() for scanning in (False, True)}
        # A thousand pages may reconnect at once: those that wait share one query.
        self._read_newest = TtlCache(reader.newest, seconds=0)

    @property
    def newest(self) -> int:
        """The seq up to which the tail has read."""
        return self._everything.newest

    @property
    def stopping(self) -> bool:
        """Whether followers should end."""
        return self._stop.is_set()

    def newest_stored(self) -> int:
        """Return the highest seq there is, or was before it was deleted: a place to go on from.

        Raises psycopg.OperationalError while the store cannot be reached.
        """
        return max(self._read_newest(), self.newest)

    @contextlib.contextmanager
    def following(self, search: Search) -> Iterator[Following]:
        """Follow a search for as long as the block lasts. Raises SearchFailed if it was too expensive."""
        if not search.conditions:
            yield self._everything
            return
        self.check(search)
        key = search.sql.as_string(None)
        with self._changing:
            new = Following(self._reader, search, self._stop, self.newest, self._catching_up)
            following = self._searches.setdefault(key, new)
            following.followers += 1
        try:
            yield following
        finally:
            with self._changing:
                following.followers -= 1
                if not following.followers:
                    del self._searches[key]

    def check(self, search: Search) -> None:
        """Raise SearchFailed if this search was too expensive lately."""
        until, reason = self._refused.get(search.sql.as_string(None), (0.0, None))
        if reason and time.monotonic() < until:
            raise reason

    def refuse(self, search: Search, reason: str) -> None:
        """End the streams of a search that is too expensive, and follow it no more for a while."""
        key, failure = search.sql.as_string(None), SearchFailed(reason)
        with self._changing:
            if len(self._refused) >= MAX_REFUSED:
                del self._refused[next(iter(self._refused))]
            self._refused[key] = (time.monotonic() + REFUSED_SECONDS, failure)
            if key in self._searches:
                self._searches[key].refuse(failure)

    # ---- for the tail and the matchers

    def extend(self, messages: Sequence[Summary]) -> None:
        """Hand out new messages, oldest first, to those who follow everything, and to the matchers."""
        with self._changing:
            self._everything.extend(messages[-1].seq, messages)
        self._wake_matchers()

    def wait_for_new(self, scanning: bool, timeout: float) -> None:
        """Return when there is something to match for searches of this kind, or after `timeout` seconds."""
        new = self._new[scanning]
        new.wait(timeout)
        new.clear()

    def behind(self, scanning: bool) -> Sequence[Following]:
        """Return the searches of this kind that were not matched with all that is new."""
        newest = self.newest
        with self._changing:
            return [
                following
                for following in self._searches.values()
                if (following.search.scans > 0) == scanning
                and following.newest < newest
                and not following.is_refused
            ]

    def recent_after(self, seq: int) -> Sequence[Summary] | None:
        """Return the messages that follow `seq`, oldest first; None if not all are in memory any more."""
        recent = self._everything.place
        return (recent.after(seq) or None) if seq >= recent.floor else None

    def found(self, following: Following, place: Recent, newest: int, messages: Sequence[Summary]) -> None:
        """Add what a search finds up to `newest`, unless it holds something else than `place` by now."""
        with self._changing:
            if following.place is place:
                following.extend(newest, messages)

    def forget_before(self, following: Following) -> None:
        """Let the followers of a search that lags too far behind read from the store."""
        with self._changing:
            following.forget(self.newest)

    def forget(self, newest: int | None = None) -> None:
        """Hold no message in memory any more: some were deleted, or the tail begins at `newest`."""
        with self._changing:
            for following in self._followings():
                following.forget(self.newest if newest is None else newest)

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or when stopping."""
        self._stop.wait(max(0.0, seconds))

    def keep_waking(self) -> None:
        """Wake the followers for whom nothing came within a heartbeat, until stopped.

        A thousand followers that each set a timer for each wait would spend a fifth of their time on that;
        and a message would wait for them if they were all woken while messages come.
        """
        while not self._stop.wait(self._heartbeat_seconds / 2):
            for following in self._followings():
                following.wake_if_quiet()

    def _wake_matchers(self) -> None:
        for new in self._new.values():
            new.set()

    def wake_all(self) -> None:
        """End every wait of a follower."""
        for following in self._followings():
            following.wake()

    def _followings(self) -> list[Following]:
        return [self._everything, *self._searches.values()]

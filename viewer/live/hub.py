"""The hub: which searches are followed, and the newest messages that each of them finds.

The tail tells it what is new. A follower brings its own place, a seq, and is given what comes after it: from
memory if it keeps up, from the store if it is further behind. So a slow follower costs the others nothing,
and none is skipped or cut off.
"""

import contextlib
import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from pipeline.search.sql import EVERYTHING, Search
from pipeline.store.reader import Reader, Summary
from pipeline.ttl_cache import TtlCache

MAX_RECENT = 1000
PAGE = 500

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

    def __init__(self, reader: Reader, search: Search, stop: threading.Event, newest: int) -> None:
        """Hold no message up to `newest` in memory."""
        self._reader, self.search, self._stop = reader, search, stop
        self._recent = Recent(newest, newest)
        self._changed = threading.Event()  # replaced each time it is set
        self.followers = 0

    @property
    def newest(self) -> int:
        """The seq up to which the tail has read."""
        return self._recent.newest

    def wait(self, seq: int, timeout: float | None = None) -> None:
        """Return when a message follows `seq`, after `timeout` seconds, or when woken without a message."""
        changed = self._changed
        if not self._recent.has_more(seq) and not self._stop.is_set():
            changed.wait(timeout)

    def after(self, seq: int) -> tuple[Sequence[Summary], int]:
        """Return the messages that follow `seq`, oldest first, and the seq up to which these are all.

        Raises psycopg.OperationalError if it must read the store and cannot.
        """
        recent = self._recent
        if seq >= recent.floor:
            return recent.after(seq), max(seq, recent.newest)
        messages = self._reader.find(self.search, after=seq, limit=PAGE)[::-1]
        if len(messages) < PAGE:
            return messages, max(recent.newest, messages[-1].seq if messages else 0)
        return messages, messages[-1].seq

    def extend(self, newest: int, messages: Sequence[Summary]) -> None:
        """Add the messages found up to `newest`."""
        self._recent = self._recent.extended(newest, messages)
        if messages:
            self.wake()

    def forget(self, newest: int) -> None:
        """Hold no message up to `newest` any more."""
        self._recent = Recent(newest, newest)
        self.wake()

    def wake(self) -> None:
        """End every wait."""
        changed, self._changed = self._changed, threading.Event()
        changed.set()


class Hub:
    """Knows who follows what. Followers wait and read in their own threads."""

    def __init__(self, reader: Reader, stop: threading.Event, heartbeat_seconds: float = 15) -> None:
        """Know of no message yet. Every wait of a follower ends after at most half of `heartbeat_seconds`."""
        self._reader, self._stop = reader, stop
        self._heartbeat_seconds = heartbeat_seconds
        self._changing = threading.Lock()
        self._everything = Following(reader, EVERYTHING, stop, 0)
        self._searches: dict[str, Following] = {}  # by their SQL
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
        """Follow a search for as long as the block lasts."""
        if not search.conditions:
            yield self._everything
            return
        key = search.sql.as_string(None)
        with self._changing:
            new = Following(self._reader, search, self._stop, self.newest)
            following = self._searches.setdefault(key, new)
            following.followers += 1
        try:
            yield following
        finally:
            with self._changing:
                following.followers -= 1
                if not following.followers:
                    del self._searches[key]

    def searches(self) -> Sequence[Following]:
        """Return the searches that are followed now."""
        with self._changing:
            return list(self._searches.values())

    def extend(self, messages: Sequence[Summary], found: Mapping[Following, set[int]]) -> None:
        """Hand out new messages, oldest first, and which of them each search found.

        A search that is not in `found` was not asked about: its followers read these messages from the store.
        """
        newest = messages[-1].seq
        with self._changing:
            for following in self._searches.values():
                if following in found:
                    seqs = found[following]
                    following.extend(newest, [message for message in messages if message.seq in seqs])
                else:
                    following.forget(newest)
            self._everything.extend(newest, messages)

    def forget(self, newest: int | None = None) -> None:
        """Hold no message in memory any more: some were deleted, or the tail begins at `newest`."""
        with self._changing:
            for following in self._followings():
                following.forget(self.newest if newest is None else newest)

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or when stopping."""
        self._stop.wait(max(0.0, seconds))

    def keep_waking(self) -> None:
        """Wake all followers twice a heartbeat, until stopped.

        A thousand followers that each set a timer for each wait would spend a fifth of their time on that.
        """
        while not self._stop.wait(self._heartbeat_seconds / 2):
            self.wake_all()

    def wake_all(self) -> None:
        """End every wait of a follower."""
        for following in self._followings():
            following.wake()

    def _followings(self) -> list[Following]:
        return [self._everything, *self._searches.values()]

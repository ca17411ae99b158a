"""The tail: every message as it is stored, once, in order, for any number of followers.

One loop for each viewer process listens to PostgreSQL and reads what is new once; one query more tells what
of it is found by each search that somebody follows. The last thousand messages of each are kept. A follower
brings its own place and is given what comes after it: from memory when it keeps up, from the store when it
was away for longer. So a slow follower costs nothing, and none is ever skipped or cut off.
"""

import contextlib
import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.search import EVERYTHING, Search
from pipeline.stopping import Stopped
from pipeline.store import DELETED, Store, Summary

Result = TypeVar("Result")
log = logging.getLogger(__name__)

KEPT = 1000
PAGE = 500
# How often the loop turns without a notification. It looks into the store each time: a notification can be
# lost where a connection pooler sits in between.
TURN_SECONDS = 5.0

seq_of = attrgetter("seq")


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a search finds after `floor` and up to `newest`, oldest first; replaced as a whole."""

    floor: int
    newest: int
    messages: tuple[Summary, ...] = ()

    def extended(self, newest: int, messages: Sequence[Summary]) -> "Kept":
        """Return it with what is found up to a new `newest`."""
        together = (*self.messages, *messages)
        if len(together) <= KEPT:
            return Kept(self.floor, newest, together)
        return Kept(together[-KEPT - 1].seq, newest, together[-KEPT:])


class Following:
    """One search, as all who follow it share it. They take no lock: there may be thousands of them."""

    def __init__(self, store: Store, search: Search, stop: threading.Event, newest: int) -> None:
        """Know nothing of what is stored up to `newest`."""
        self._store, self.search, self._stop = store, search, stop
        self._kept = Kept(newest, newest)
        self._changed = threading.Event()  # a new one each time
        self.followers = 0

    @property
    def newest(self) -> int:
        """The seq up to which the tail has looked."""
        return self._kept.newest

    def wait(self, seq: int, timeout: float | None = None) -> None:
        """Return once something follows `seq`, after `timeout` seconds, or for nothing, twice a heartbeat."""
        changed = self._changed
        kept = self._kept
        has_more = kept.floor > seq or (kept.messages and kept.messages[-1].seq > seq)
        if not has_more and not self._stop.is_set():
            changed.wait(timeout)

    def after(self, seq: int) -> tuple[Sequence[Summary], int]:
        """Return what follows `seq`, oldest first, and up to which seq that is all there is.

        Raises psycopg.OperationalError if it must read the store and cannot.
        """
        kept = self._kept
        if seq >= kept.floor:
            return kept.messages[bisect_right(kept.messages, seq, key=seq_of) :], max(seq, kept.newest)
        messages = self._store.find(self.search, after=seq, limit=PAGE)[::-1]
        if len(messages) < PAGE:
            return messages, max(kept.newest, messages[-1].seq if messages else 0)
        return messages, messages[-1].seq

    def extend(self, newest: int, messages: Sequence[Summary]) -> None:
        """Add what was found up to `newest`."""
        self._kept = self._kept.extended(newest, messages)
        if messages:
            self.wake()

    def forget(self, newest: int) -> None:
        """Know nothing any more of what is stored up to `newest`."""
        self._kept = Kept(newest, newest)
        self.wake()

    def wake(self) -> None:
        """End every wait."""
        changed, self._changed = self._changed, threading.Event()
        changed.set()


class Tail:
    """Follows the store from a thread; followers wait and read in theirs."""

    def __init__(
        self, store: Store, stop: threading.Event, beat: Callable[[], None], heartbeat_seconds: float = 15
    ) -> None:
        """Follow nothing until `run`; `beat` is called at each turn.

        Every wait ends after half of `heartbeat_seconds`, for nothing if need be.
        """
        self._store, self._stop, self._beat = store, stop, beat
        self._heartbeat_seconds = heartbeat_seconds
        self._database = Dependency("database")
        self._changing = threading.Lock()  # held by whoever changes what follows
        self._all = Following(store, EVERYTHING, stop, 0)
        self._searches: dict[str, Following] = {}  # by their SQL
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._answer: Future[int] = Future()

    def run(self) -> None:
        """Create the schema, then follow the store until stopped."""
        threading.Thread(target=self._wake_all, name="heartbeat", daemon=True).start()
        try:
            self._retry(self._connect)
            self._retry(self._store.create_schema)
            self._forget(self._retry(self._store.newest))
            self._retry(self._follow)
        except Stopped:
            pass
        except Exception:
            # Liveness fails next, with the loop that no longer beats.
            log.exception("tail died")

    def stop(self) -> None:
        """End the loop, and every wait of a follower."""
        self._stop.set()
        for following in self._followings():
            following.wake()

    @property
    def away(self) -> str | None:
        """Why the store cannot be reached, as far as is known without trying."""
        return self._database.reason

    @property
    def stopping(self) -> bool:
        """Whether followers should go."""
        return self._stop.is_set()

    def newest(self) -> int:
        """Return the newest seq there is, or was before it was deleted: a place to go on from.

        Raises psycopg.OperationalError while the store cannot be reached.
        """
        came = time.monotonic()
        # One asks the store for all who came before it did: a thousand pages may reconnect at once.
        with self._asking:
            if self._asked_at <= came:
                self._asked_at = time.monotonic()
                self._answer = Future()
                try:
                    self._answer.set_result(self._store.newest())
                except Exception as error:  # noqa: BLE001 - raised to each who asked
                    self._answer.set_exception(error)
            answer = self._answer
        return max(answer.result(), self._all.newest)

    @contextlib.contextmanager
    def following(self, search: Search) -> Iterator[Following]:
        """Follow a search for as long as the block lasts."""
        if not search.conditions:
            yield self._all
            return
        key = search.sql.as_string(None)
        with self._changing:
            new = Following(self._store, search, self._stop, self._all.newest)
            following = self._searches.setdefault(key, new)
            following.followers += 1
        try:
            yield following
        finally:
            with self._changing:
                following.followers -= 1
                if not following.followers:
                    del self._searches[key]

    def forget(self) -> None:
        """Keep nothing of what was stored: some of it has been deleted."""
        self._forget(self._all.newest)

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or when stopping."""
        self._stop.wait(max(0.0, seconds))

    def _forget(self, newest: int) -> None:
        with self._changing:
            for following in self._followings():
                following.forget(newest)

    def _followings(self) -> list[Following]:
        return [self._all, *self._searches.values()]

    def _wake_all(self) -> None:
        # A thousand followers that each set a timer for each wait would spend a fifth of their time on that.
        while not self._stop.wait(self._heartbeat_seconds / 2):
            for following in self._followings():
                following.wake()

    def _connect(self) -> None:
        # Learns at once why there is no connection; the pool would be waited for, and say only that.
        with self._store.listening():
            pass

    def _follow(self) -> None:
        with self._store.listening() as wait:
            # Nobody has told meanwhile what was deleted.
            self.forget()
            while not self._stop.is_set():
                with self._changing:
                    self._read_new()
                self._database.worked()
                self._beat()
                if DELETED in wait(TURN_SECONDS):
                    self.forget()

    def _read_new(self) -> None:
        while new := self._store.find(after=self._all.newest, limit=PAGE)[::-1]:
            followings = list(self._searches.values())
            newest = new[-1].seq
            found = self._store.found_by(
                [following.search for following in followings], after=self._all.newest, before=newest + 1
            )
            for following, seqs in zip(followings, found, strict=True):
                following.extend(newest, [message for message in new if message.seq in seqs])
            self._all.extend(newest, new)

    def _retry(self, call: Callable[[], Result]) -> Result:
        return retry_until_stopped(
            call, dependency=self._database, errors=DATABASE_ERRORS, stop=self._stop, beat=self._beat
        )

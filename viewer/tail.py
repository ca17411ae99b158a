"""The tail: every message as it is stored, once, in order, for any number of followers.

One loop for each viewer process listens to PostgreSQL, reads what is new once, and keeps the last thousand
messages. A follower brings its own place and is given what comes after it: from memory when it keeps up, from
the store when it was away for longer. So a slow follower costs nothing, and none is ever skipped or cut off.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store import Store, Summary

Result = TypeVar("Result")
log = logging.getLogger(__name__)

KEPT = 1000
PAGE = 500
# How often the loop turns without a notification. It looks into the store each time: a notification can be
# lost where a connection pooler sits in between.
TURN_SECONDS = 5.0


class Tail:
    """Follows the store from a thread; followers call `after` from theirs."""

    def __init__(self, store: Store, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Follow nothing until `run`; `beat` is called at each turn."""
        self._store, self._stop, self._beat = store, stop, beat
        self._database = Dependency("database")
        self._changed = threading.Condition()
        # Guarded by _changed. Everything in the store after _floor and up to _newest is in _kept.
        self._kept: deque[Summary] = deque()
        self._floor = self._newest = 0

    def run(self) -> None:
        """Create the schema, then follow the store until stopped."""
        try:
            self._retry(self._store.create_schema)
            self._start_at(self._retry(self._store.newest))
            self._retry(self._follow)
        except Stopped:
            pass
        except Exception:
            # Liveness fails next, with the loop that no longer beats.
            log.exception("tail died")

    def stop(self) -> None:
        """End the loop, and every wait in `after`."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether followers should go."""
        return self._stop.is_set()

    def newest(self) -> int:
        """Return the newest seq there is, or was before it was deleted: a place to go on from.

        Raises psycopg.OperationalError while the store cannot be reached.
        """
        stored = self._store.newest()
        with self._changed:
            return max(stored, self._newest)

    def forget(self) -> None:
        """Remember nothing of what was stored: some of it has been deleted."""
        with self._changed:
            self._kept.clear()
            self._floor = self._newest

    def wait(self, seq: int, timeout: float) -> int:
        """Return the newest seq once it is above `seq`, or after `timeout` seconds, or when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest > seq or self.stopping, timeout)
            return self._newest

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or when stopping."""
        self._stop.wait(max(0.0, seconds))

    def after(self, seq: int, timeout: float) -> list[Summary]:
        """Return some of what follows `seq`, oldest first; waits if that is nothing yet.

        Empty after `timeout` seconds or when stopping. Raises psycopg.OperationalError if it must read the
        store and cannot.
        """
        if self.wait(seq, timeout) <= seq or self.stopping:
            return []
        kept = self.kept_after(seq)
        return self._read_after(seq) if kept is None else kept

    def kept_after(self, seq: int) -> list[Summary] | None:
        """Return all that follows `seq`, oldest first; None if that is more than is remembered."""
        with self._changed:
            if seq < self._floor:
                return None
            return [message for message in self._kept if message.seq > seq]

    def _start_at(self, seq: int) -> None:
        with self._changed:
            self._floor = self._newest = seq
            self._changed.notify_all()

    def _follow(self) -> None:
        with self._store.listening() as wait:
            while not self._stop.is_set():
                self._read_new()
                self._beat()
                wait(TURN_SECONDS)

    def _read_new(self) -> None:
        while new := self._read_after(self._newest):
            with self._changed:
                self._kept.extend(new)
                while len(self._kept) > KEPT:
                    self._floor = self._kept.popleft().seq
                self._newest = new[-1].seq
                self._changed.notify_all()

    def _read_after(self, seq: int) -> list[Summary]:
        return self._store.find(after=seq, limit=PAGE)[::-1]

    def _retry(self, call: Callable[[], Result]) -> Result:
        return retry_until_stopped(
            call, dependency=self._database, errors=DATABASE_ERRORS, stop=self._stop, beat=self._beat
        )

"""The tail: reads every message once as it is stored, in order, and tells the hub.

One loop in each viewer process listens to PostgreSQL, and reads what is new. Which of it each followed search
finds is left to the matchers.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.connection import DELETED, Database
from pipeline.store.migrate import migrate
from pipeline.store.reader import Reader
from viewer.live.hub import PAGE, Hub

Result = TypeVar("Result")
log = logging.getLogger(__name__)

# How often the loop turns without a notification, which can be lost where a connection pooler is in between.
TURN_SECONDS = 5.0


class Tail:
    """Follows the store from a thread of its own."""

    def __init__(
        self,
        database: Database,
        reader: Reader,
        hub: Hub,
        *,
        stop: threading.Event,
        beat: Callable[[], None],
        queue_name: str,
    ) -> None:
        """Do nothing until `run`; `beat` is called at each turn. See `migrate` for `queue_name`."""
        self._database, self._reader, self._hub = database, reader, hub
        self._stop, self._beat, self._queue_name = stop, beat, queue_name
        self._dependency = Dependency("database")

    @property
    def away(self) -> str | None:
        """Why the store cannot be reached, as far as is known without trying; None if it can."""
        return self._dependency.reason

    def run(self) -> None:
        """Migrate the schema if need be, then follow the store until stopped."""
        threading.Thread(target=self._hub.keep_waking, name="heartbeat", daemon=True).start()
        try:
            self._retry(self._connect)
            self._retry(lambda: migrate(self._database, self._queue_name))
            self._hub.forget(self._retry(self._reader.newest))
            self._retry(self._follow)
        except Stopped:
            pass
        except Exception:
            # Liveness fails next: the loop no longer beats.
            log.exception("tail died")

    def stop(self) -> None:
        """End the loop, and every wait of a follower."""
        self._stop.set()
        self._hub.wake_all()

    def _connect(self) -> None:
        # Fails with the reason; the pool would wait for its timeout, and say only that.
        with self._database.listening():
            pass

    def _follow(self) -> None:
        with self._database.listening() as wait:
            # A notification of deleted messages may have been missed.
            self._hub.forget()
            while not self._stop.is_set():
                self._read_new()
                self._dependency.worked()
                self._beat()
                if DELETED in wait(TURN_SECONDS):
                    self._hub.forget()

    def _read_new(self) -> None:
        while new := self._reader.find(after=self._hub.newest, limit=PAGE)[::-1]:
            self._hub.extend(new)

    def _retry(self, call: Callable[[], Result]) -> Result:
        return retry_until_stopped(
            call, dependency=self._dependency, errors=DATABASE_ERRORS, stop=self._stop, beat=self._beat
        )

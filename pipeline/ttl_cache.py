"""A value that is read at most once in a while, however many threads want it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")

MAX_FAILURE_SECONDS = 1.0


class TtlCache(Generic[Value]):
    """Calls `read` for all callers of `seconds`; those that come while it runs wait for its answer.

    With 0 seconds only callers that wait share a read. A failure is shared too, for at most a second: callers
    of something that is away do not ask for it one after the other.
    """

    def __init__(
        self, read: Callable[[], Value], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read nothing yet."""
        self._read, self._seconds, self._clock = read, seconds, clock
        self._lock = threading.Lock()
        self._answer: Future[Value] | None = None
        self._read_at = 0.0

    def __call__(self) -> Value:
        """Return the value, or raise what reading it raised."""
        came = self._clock()
        with self._lock:
            if self._answer is None or self._is_stale(self._answer, came):
                self._read_at = self._clock()
                self._answer = self._ask()
            answer = self._answer
        return answer.result()

    def _is_stale(self, answer: "Future[Value]", came: float) -> bool:
        failed = answer.exception() is not None
        seconds = min(self._seconds, MAX_FAILURE_SECONDS) if failed else self._seconds
        return self._read_at + seconds <= came

    def _ask(self) -> "Future[Value]":
        answer: Future[Value] = Future()
        try:
            answer.set_result(self._read())
        except Exception as error:  # noqa: BLE001 - raised to every caller
            answer.set_exception(error)
        return answer

"""Reading what may not answer: whoever asks waits for a bounded time, and no longer."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class NoAnswer(Exception):
    """There was no answer in time."""


class Timely(Generic[Value]):
    """Calls `read` in a thread of its own, at most once at a time, and keeps its answer for `fresh_seconds`.

    While a read takes longer than `deadline_seconds`, callers are told so at once.
    """

    def __init__(
        self,
        read: Callable[[], Value],
        fresh_seconds: float,
        deadline_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet."""
        self._read, self._fresh_seconds, self._deadline_seconds = read, fresh_seconds, deadline_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: Future[Value] | None = None
        self._asked_at = 0.0

    def start(self) -> "tuple[Future[Value], float]":
        """Begin a read unless the value is fresh; return the answer to come, and when it was asked for."""
        with self._lock:
            now = self._clock()
            if self._answer is None or (self._answer.done() and self._asked_at + self._fresh_seconds <= now):
                self._answer, self._asked_at = Future(), now
                threading.Thread(target=self._ask, args=[self._answer], daemon=True).start()
            return self._answer, self._asked_at

    def __call__(self) -> Value:
        """Return the value, or raise what reading it raised. Raises NoAnswer."""
        answer, asked_at = self.start()
        left = asked_at + self._deadline_seconds - self._clock()
        try:
            return answer.result(max(0.0, left))
        except TimeoutError:
            if answer.done():
                return answer.result()
            raise NoAnswer(f"no answer within {self._deadline_seconds:g} s") from None

    def _ask(self, answer: "Future[Value]") -> None:
        try:
            answer.set_result(self._read())
        except Exception as error:  # noqa: BLE001 - raised to every caller
            answer.set_exception(error)

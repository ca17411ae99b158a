"""Whose turn it is to be asked again: what is new first, then what has waited longest beyond its time.

What did not change is asked less and less often, what changed as often as possible.
"""

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Turns(Generic[Key]):
    """The turns of many. Times are those of `clock`, in seconds."""

    def __init__(self, min_seconds: float, max_seconds: float, clock: Callable[[], float]) -> None:
        """Know of none. One is due `min_seconds` after it changed, others up to `max_seconds` after."""
        self._min_seconds, self._max_seconds, self._clock = min_seconds, max_seconds, clock
        self._due_at: dict[Key, float] = {}
        self._waits: dict[Key, float] = {}

    def __contains__(self, key: Key) -> bool:
        """Return whether this one is known."""
        return key in self._due_at

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all but these; those that were not known are new."""
        wanted = set(keys)
        for key in self._due_at.keys() - wanted:
            del self._due_at[key]
            self._waits.pop(key, None)
        for key in wanted - self._due_at.keys():
            self._due_at[key] = float("-inf")

    def next(self, max_new: int, max_known: int) -> list[Key]:
        """Return whom to ask now: so many new ones, and of the others so many that are due."""
        now = self._clock()
        new = [key for key, due in self._due_at.items() if key not in self._waits and due <= now]
        known = [key for key, due in self._due_at.items() if key in self._waits and due <= now]
        return new[:max_new] + heapq.nsmallest(max_known, known, key=self._due_at.__getitem__)

    def note(self, key: Key, *, changed: bool) -> None:
        """Record that one was asked, and whether it had changed."""
        wait = self._min_seconds if changed else min(2 * self._waits.get(key, 0.0), self._max_seconds)
        self._waits[key] = max(wait, self._min_seconds)
        self._due_at[key] = self._clock() + self._waits[key]

    def hurry(self, keys: Iterable[Key]) -> None:
        """Make those of these that were asked before due at once, before all others."""
        for key in keys:
            if key in self._waits:
                self._due_at[key] = float("-inf")

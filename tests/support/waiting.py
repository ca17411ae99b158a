"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.02, 0.1


def wait_for(condition: Callable[[], Value], seconds: float = 20, what: str = "the condition") -> Value:
    """Return the first true value of `condition`; fail after `seconds`.

    The longer it takes, the less often it asks: most conditions cost the services under test as much as us.
    """
    began = time.monotonic()
    deadline = began + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        waited = time.monotonic() - began
        time.sleep(min(max(MIN_PAUSE_SECONDS, waited / 10), MAX_PAUSE_SECONDS))

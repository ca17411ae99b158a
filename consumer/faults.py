"""Fault injection, off by default. It makes retries, dead letters and redrive visible."""

import contextlib
import dataclasses
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from consumer.handler import Failures
from pipeline.message import Delivery
from pipeline.retry import DATABASE_ERRORS
from pipeline.store.faults import FaultShare

FOLLOW_SECONDS = 1.0


class InjectedFault(Exception):
    """A failure requested by the setting FAULTS."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares from 0 to 1: of messages that always fail, of tries that fail, of batches that are delayed."""

    fail: float = 0
    flaky: float = 0
    delay: float = 0
    delay_seconds: float = 1


def parse_faults(text: str) -> Faults:
    """Parse `fail=0.1,delay=0.5,delay_seconds=2`; raises ValueError that names what is allowed."""
    values: dict[str, float] = {}
    known = [field.name for field in dataclasses.fields(Faults)]
    for part in filter(None, text.split(",")):
        name, _, value = part.strip().partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1
        if name not in known or not 0 <= number <= (3600 if name == "delay_seconds" else 1):
            raise ValueError(
                f"{part.strip()!r} should be one of {', '.join(known)} = a share from 0 to 1, or seconds"
            )
        values[name] = number
    return Faults(**values)


class FaultInjector:
    """A handler that comes last, so that messages it fails are stored and shown with their status."""

    def __init__(self, faults: Faults, stop: threading.Event) -> None:
        """A delay ends early when `stop` is set."""
        self._faults, self._stop = faults, stop
        self._fail = faults.fail

    def follow(self, share: FaultShare) -> None:
        """Until stopped, follow the share of failures set on the page, which starts with that of FAULTS."""

        def ask() -> float:
            return share.begin(self._fail)

        while not self._stop.is_set():
            with contextlib.suppress(*DATABASE_ERRORS):  # which the pollers log
                self._fail = ask()
                ask = share.follow
            self._stop.wait(FOLLOW_SECONDS)

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        """Delay the batch and fail some of its messages, as often as the settings say."""
        if random.random() < self._faults.delay:
            self._stop.wait(self._faults.delay_seconds)
        return {
            place: InjectedFault("FAULTS asked for this failure")
            for place, delivery in enumerate(deliveries)
            # Chosen by identity, a message fails at every try or at none.
            if delivery.message.identity[0] < 256 * self._fail or random.random() < self._faults.flaky
        }

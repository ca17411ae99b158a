"""Stopping: SIGTERM and SIGINT set one event, which every wait of a service watches."""

import os
import signal
import threading
from types import FrameType


class Stopped(Exception):
    """A wait ended because the process is stopping."""


def stop_on_signals(*, second_ends: bool = True) -> threading.Event:
    """Return an event that the first SIGTERM or SIGINT sets. With `second_ends`, a second one ends the
    process at once.

    Kubernetes sends SIGTERM, then SIGKILL after `terminationGracePeriodSeconds` (Kubernetes, "Pod
    Lifecycle"); Ctrl-C sends SIGINT.
    """
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and second_ends:
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop

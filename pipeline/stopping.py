"""Stopping: SIGTERM and SIGINT set one event, which every wait of a service watches."""

import _thread
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
    is_signalled = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal is_signalled
        if is_signalled and second_ends:
            os._exit(128 + number)
        is_signalled = True
        # The signal may have interrupted this thread in stop.wait(), while it held the lock that set() takes.
        _thread.start_new_thread(stop.set, ())

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop

"""The event that a signal sets."""

import subprocess
import sys

# A signal handler runs in the main thread, wherever that is: here, inside the event.
INTERRUPTED_IN_A_WAIT = """
import signal
from pipeline.stopping import stop_on_signals

stop = stop_on_signals()
with stop._cond:
    signal.raise_signal(signal.SIGTERM)
assert stop.wait(5)
"""

SECOND_SIGNAL = """
import signal
from pipeline.stopping import stop_on_signals

stop = stop_on_signals(second_ends=%s)
signal.raise_signal(signal.SIGTERM)
assert stop.wait(5)
signal.raise_signal(signal.SIGTERM)
"""


def run(program: str) -> int:
    return subprocess.run([sys.executable, "-c", program], check=False, timeout=20).returncode


def test_a_signal_that_interrupts_a_wait_sets_the_event() -> None:
    assert run(INTERRUPTED_IN_A_WAIT) == 0


def test_a_second_signal_ends_the_process_at_once_if_it_may() -> None:
    assert run(SECOND_SIGNAL % True) == 128 + 15
    assert run(SECOND_SIGNAL % False) == 0

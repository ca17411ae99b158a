"""Waiting for AWS and for the database: exponential, jittered, without end while the process should run.

Neither is ever given up on: a restart would not mend them. The log says when something went away, when
the reason changed and when it came back, not every attempt in between.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
import tenacity
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.stopping import Stopped

AWS_ERRORS = (BotoCoreError, ClientError)
DATABASE_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError)

LONGEST_WAIT_SECONDS = 5.0  # what has come back is noticed within this time

Result = TypeVar("Result")
log = logging.getLogger(__name__)


def retry_until_stopped(
    call: Callable[[], Result],
    *,
    what: str,
    errors: tuple[type[Exception], ...],
    stop: threading.Event,
    beat: Callable[[], None],
) -> Result:
    """Return what `call` returns, repeating it for as long as it raises one of `errors`.

    `what` names it in the log ("database"). `beat` is called before each wait: waiting for a broken
    dependency is not a stall. Raises `Stopped` if `stop` is set and the call failed, which also ends a
    wait at once; a first attempt is always made, so that a stopping service can finish what it holds.
    """
    began = time.monotonic()
    reason: str | None = None

    def attempt() -> Result:
        if reason is not None and stop.is_set():
            raise Stopped
        return call()

    def before_wait(state: tenacity.RetryCallState) -> None:
        nonlocal reason
        beat()
        assert state.outcome is not None
        seen = explain(state.outcome.exception())
        if seen != reason:
            log.warning("waiting for %s", what, extra={"reason": seen})
        reason = seen

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=LONGEST_WAIT_SECONDS),
        stop=tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=before_wait,
        retry_error_callback=_raise_stopped,
    )
    result: Result = retrying(attempt)
    if reason is not None:
        log.info("%s is back", what, extra={"seconds": round(time.monotonic() - began, 1)})
    return result


def explain(error: BaseException | None) -> str:
    """Return the error as one line for a person."""
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _raise_stopped(_state: tenacity.RetryCallState) -> None:
    raise Stopped

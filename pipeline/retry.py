"""Retries of AWS and the database: exponential back-off with jitter, for as long as the process runs.

A restart would not repair either, so neither is given up. The log says when one went away, when the reason
changed and when it came back: once for all threads that wait for it, not once for each attempt.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
import tenacity
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from pipeline.stopping import Stopped

# The last is raised for an answer that is not AWS's, such as the HTML page of a gateway.
AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
# A missing table or column is an outage, too: the schema is not created yet, or of another release. So is a
# server that only reads: it is a standby, or was the primary until a moment ago.
DATABASE_ERRORS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
)

FIRST_WAIT_SECONDS = 0.25
MAX_WAIT_SECONDS = 5.0  # a dependency that is back is noticed within this time
RECENT_SECONDS = 2 * MAX_WAIT_SECONDS

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Dependency:
    """AWS or the database, as the log names it; shared by all threads that use it."""

    def __init__(self, name: str) -> None:
        """Assume that it works until a call has failed twice in a row."""
        self._name = name
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._away_since = self._failed_at = 0.0

    @property
    def reason(self) -> str | None:
        """Why it is away; None while it works, as far as is known."""
        return self._reason

    @property
    def recent_reason(self) -> str | None:
        """Why it is away; None if no call has failed for some seconds: one may take long to succeed."""
        return self._reason if time.monotonic() < self._failed_at + RECENT_SECONDS else None

    def failed(self, error: BaseException | None) -> None:
        """Log why it is away, unless the reason is known."""
        reason = explain(error)
        with self._lock:
            self._failed_at = time.monotonic()
            if self._reason is None:
                self._away_since = time.monotonic()
            if reason != self._reason:
                log.warning("waiting for %s", self._name, extra={"reason": reason})
            self._reason = reason

    def worked(self) -> None:
        """Log that it is back, unless it was never away."""
        if self._reason is None:
            return
        with self._lock:
            if self._reason is not None:
                seconds = round(time.monotonic() - self._away_since, 1)
                log.info("%s is back", self._name, extra={"seconds": seconds})
            self._reason = None


def retry_until_stopped(
    call: Callable[[], Result],
    *,
    dependency: Dependency,
    errors: tuple[type[Exception], ...],
    stop: threading.Event,
    beat: Callable[[], None],
) -> Result:
    """Return what `call` returns; repeat it as long as it raises one of `errors`.

    `beat` is called before each wait: waiting for a dependency is not a stall. Setting `stop` ends a wait at
    once; if the call has failed, `Stopped` is raised. The first attempt is always made, so that a stopping
    service can finish what it holds.
    """
    try:
        result = call()
    except errors as error:
        beat()
        log.debug("failed once", extra={"reason": explain(error)})  # a hiccup, unless it goes on
    else:
        dependency.worked()
        return result

    def attempt() -> Result:
        if stop.is_set():
            raise Stopped
        return call()

    def before_wait(state: tenacity.RetryCallState) -> None:
        beat()
        assert state.outcome is not None
        dependency.failed(state.outcome.exception())

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        wait=tenacity.wait_random_exponential(multiplier=2 * FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
        stop=tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=before_wait,
        retry_error_callback=_raise_stopped,
    )
    stop.wait(random.uniform(0, FIRST_WAIT_SECONDS))
    result = retrying(attempt)
    dependency.worked()
    return result


def is_outage(error: Exception) -> bool:
    """Tell whether the server or the network caused an error of the database, not the statement.

    psycopg counts class 54, "Program Limit Exceeded", as operational, but waiting does not resolve it
    ("PostgreSQL Error Codes").
    """
    return isinstance(error, DATABASE_ERRORS) and not (getattr(error, "sqlstate", "") or "").startswith("54")


def explain(error: BaseException | None) -> str:
    """Return the error as one line of text."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an exception of a handler, whose __str__ fails
        text = ""
    return text or type(error).__name__


def _raise_stopped(_state: tenacity.RetryCallState) -> None:
    raise Stopped

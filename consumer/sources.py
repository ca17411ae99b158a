"""What a consumer reads: its own queue, the tap, or both."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from consumer.faults import FaultInjector
from consumer.handler import Check, Handler, StoreHandler, checks_of, load_handlers
from consumer.queue import Queue
from consumer.settings import ANSWER_SECONDS, ConsumerSettings
from consumer.tap import Tap
from consumer.tap_queue import OwnQueue, TapQueue
from pipeline.aws import sns_client, sqs_client
from pipeline.retry import DATABASE_ERRORS, Dependency
from pipeline.store.readers import Readers
from pipeline.store.writer import Writer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PROBE_TIMEOUT_SECONDS = 2


class NotRead(BotoCoreError):
    """SQS answers, but refuses to receive or to delete messages."""

    fmt = "{reason}"


@dataclass(frozen=True, eq=False)
class Source:
    """A queue, its name in health, logs and the names of its pollers, and what is done with its messages.

    `probed` is the same queue for probes, which wait only a short time for SQS.
    """

    name: str
    service: str
    poller: str
    queue: Queue
    probed: Queue
    handlers: Sequence[Handler]
    handler_checks: Mapping[str, Check] = field(default_factory=dict)
    receiving: Dependency = field(init=False)
    acknowledging: Dependency = field(init=False)  # who may receive need not be allowed to delete

    def __post_init__(self) -> None:
        """Name the dependencies after the service."""
        object.__setattr__(self, "receiving", Dependency(self.service))
        object.__setattr__(self, "acknowledging", Dependency(f"{self.service}, to acknowledge messages"))

    @property
    def why_not_read(self) -> str | None:
        """Why messages are not received or not deleted; None while they are, as far as is known."""
        return self.receiving.recent_reason or self.acknowledging.recent_reason

    @property
    def checks(self) -> Mapping[str, Check]:
        """What readiness asks, by name."""
        return {self.name: self._check, **self.handler_checks}

    def _check(self) -> None:
        """Return if the queue can be read, and is; otherwise raise what boto3 raises, or NotRead."""
        self.probed.check()
        if reason := self.why_not_read:
            raise NotRead(reason=reason)


def own_source(settings: ConsumerSettings, writer: Writer, faults: FaultInjector | None) -> Source:
    """Return the queue of QUEUE_NAME with the handlers of HANDLER and FAULTS."""
    named = load_handlers(settings.handler, writer)
    handlers: list[Handler] = [*named.values(), *([faults] if faults else [])]
    queue, probed = (
        Queue(client, settings.queue_name, settings.visibility_timeout_seconds, settings.topic_name)
        for client in _sqs_clients(settings)
    )
    return Source("aws", "SQS", "poller", queue, probed, handlers, checks_of(named))


def tap_source(settings: ConsumerSettings, tap: Tap, writer: Writer) -> Source:
    """Return the queue of the tap, the messages of which are only stored: they are somebody else's."""
    queue, probed = (
        TapQueue(tap.queue, client, settings.visibility_timeout_seconds) for client in _sqs_clients(settings)
    )
    return Source("tap", "the tap", "tap-poller", queue, probed, [StoreHandler(writer)])


def open_tap(settings: ConsumerSettings, readers: Readers) -> Tap | None:
    """Return the tap of WATCH, or None if nothing is watched. Sends no request yet."""
    patterns = settings.patterns
    if patterns is None:
        return None
    queue = OwnQueue(sqs_client(ANSWER_SECONDS), settings.tap_name, patterns)
    # With WATCH_ONLY, another consumer reads it into the same store, perhaps one that starts later.
    known = {settings.queue_name}

    def read_anyway() -> Collection[str]:
        nonlocal known
        with contextlib.suppress(*DATABASE_ERRORS):  # the pollers say that it is away
            known = {settings.queue_name} | readers.queues()
        return known

    return Tap(sns_client(ANSWER_SECONDS), queue, patterns, read_anyway)


def _sqs_clients(settings: ConsumerSettings) -> "Sequence[SQSClient]":
    """Return one for long polls and one for probes."""
    seconds = (settings.wait_time_seconds + ANSWER_SECONDS, PROBE_TIMEOUT_SECONDS)
    return [sqs_client(timeout) for timeout in seconds]

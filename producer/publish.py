"""Publishing: what to publish, at what pace, and how to retry what AWS refuses."""

import colorsys
import contextlib
import functools
import itertools
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from pipeline.aws import MAX_BATCH, MAX_BATCH_BYTES, Topic
from pipeline.fifo import PARTITION_KEY, group_of
from pipeline.message import GREETING, Message, new_message
from pipeline.retry import AWS_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from producer import metrics

log = logging.getLogger(__name__)

GOLDEN_RATIO = 0.618034
# At a steady rate: how long a message may wait for others to fill its batch, and how far publishing may fall
# behind before the overdue messages are skipped.
MAX_BATCHING_SECONDS = 0.1
MAX_LAG_SECONDS = 1.0


class PublishRefused(Exception):
    """SNS refused some messages of a batch."""


class Publisher:
    """Publishes messages, retrying until SNS has accepted each; only then is it logged as published."""

    def __init__(self, topic: Topic, stop: threading.Event, beat: Callable[[], None]) -> None:
        """`beat` is called regularly while publishing and waiting, to show that the loop is alive."""
        self._topic, self._stop, self._beat = topic, stop, beat
        self._aws = Dependency("SNS")

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all messages; raises Stopped if the process stops before SNS has accepted them.

        After a failed request it is unknown which messages were accepted. They are sent again with the same
        ids, so the store keeps one of each.
        """
        for batch in _split(messages, group_of if self._topic.is_fifo else None):
            retry_until_stopped(
                functools.partial(self._publish_batch, batch),
                dependency=self._aws,
                errors=(*AWS_ERRORS, PublishRefused),
                stop=self._stop,
                beat=self._beat,
            )

    def _publish_batch(self, waiting: list[Message]) -> None:
        """Send one request, and remove the accepted messages from `waiting`."""
        with metrics.PUBLISHING.time(), _counting_attempts():
            refused = self._topic.publish(waiting)
        left = {message.id for message, _ in refused}
        metrics.PUBLISHED.inc(len(waiting) - len(left))
        metrics.REFUSED.inc(len(left))
        for message in waiting:
            if message.id not in left:
                log.info(
                    "published",
                    extra={"message_id": message.id, "sequence": message.sequence, "type": message.type},
                )
        waiting[:] = [message for message in waiting if message.id in left]
        if refused:
            raise PublishRefused(refused[0][1])

    def wait(self, seconds: float) -> None:
        """Wait, calling `beat` every second; raises Stopped if the process is asked to stop."""
        deadline = time.monotonic() + seconds
        while True:
            self._beat()
            left = deadline - time.monotonic()
            if self._stop.wait(max(0.0, min(left, 1.0))):
                raise Stopped
            if left <= 1.0:
                return


@contextlib.contextmanager
def _counting_attempts() -> Iterator[None]:
    try:
        yield
    except AWS_ERRORS:
        metrics.ATTEMPTS.labels("failed").inc()
        raise
    metrics.ATTEMPTS.labels("answered").inc()


def greetings(text: str, groups: int = 1) -> Iterator[Message]:
    """Yield greetings numbered from 1, each in a color that differs clearly from the one before.

    If there are several message groups, they take turns: each is a partition of this source.

    A greeting is dated when it is generated, so take it when it is due.
    """
    source = f"/producer/{socket.gethostname()}"
    for sequence in itertools.count(1):
        red, green, blue = colorsys.hls_to_rgb(sequence * GOLDEN_RATIO % 1, 0.68, 0.85)
        color = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        group = {PARTITION_KEY: f"{source}/{sequence % groups}"} if groups > 1 else {}
        yield new_message(source, GREETING, {"text": text, "sequence": sequence, "color": color}, **group)


def publish_at_random_intervals(
    publisher: Publisher, messages: Iterator[Message], min_seconds: float, max_seconds: float
) -> None:
    """Publish messages one by one, `min_seconds` to `max_seconds` apart, until stopped."""
    for message in messages:
        publisher.publish([message])
        publisher.wait(random.uniform(min_seconds, max_seconds))


def publish_at_steady_rate(publisher: Publisher, messages: Iterator[Message], rate: float) -> None:
    """Publish `rate` messages a second until stopped, in batches where the rate allows.

    Messages that fell due during an outage are skipped: catching up would be a burst.
    """
    until_full_batch = min((MAX_BATCH - 1) / rate, MAX_BATCHING_SECONDS)
    due = time.monotonic()
    while True:
        now = time.monotonic()
        due = max(due, now - MAX_LAG_SECONDS)
        count = min(MAX_BATCH, 1 + int((now - due) * rate))
        publisher.publish(list(itertools.islice(messages, count)))
        due += count / rate
        publisher.wait(due + until_full_batch - time.monotonic())


def _split(
    messages: Sequence[Message], group_of: Callable[[Message], str] | None = None
) -> Iterator[list[Message]]:
    """Split the messages into batches within the limits of one request.

    With groups, a batch has one message of each: SNS may refuse any message of a batch and accept those
    after it, and what is refused is sent again behind them.
    """
    batch: list[Message] = []
    groups: set[str] = set()
    size = 0
    for message in messages:
        group = group_of(message) if group_of else None
        added = len(message.body.encode()) + len(message.type.encode()) + len(message.source.encode()) + 64
        if batch and (len(batch) == MAX_BATCH or size + added > MAX_BATCH_BYTES or group in groups):
            yield batch
            batch, groups, size = [], set(), 0
        batch.append(message)
        if group is not None:
            groups.add(group)
        size += added
    if batch:
        yield batch

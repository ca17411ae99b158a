"""Publishing: the messages, their pace, and retries until AWS accepts them."""

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

from pipeline.aws import LARGEST_BATCH, LARGEST_BATCH_BYTES, Topic
from pipeline.message import GREETING, Message, new_message
from pipeline.retry import AWS_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from producer import metrics

log = logging.getLogger(__name__)

GOLDEN_RATIO = 0.618034
# At a steady rate, messages wait this long for others to share their request. Those overdue by more than the
# delay are left out.
MAX_GATHERING_SECONDS = 0.1
MAX_DELAY_SECONDS = 1.0


class PublishRefused(Exception):
    """AWS responded, but did not accept every message of the batch."""


class Publisher:
    """Publishes messages until AWS has accepted each. Only accepted messages are logged as published."""

    def __init__(self, topic: Topic, stop: threading.Event, beat: Callable[[], None]) -> None:
        """`beat` is called regularly, as a sign of life."""
        self._topic, self._stop, self._beat = topic, stop, beat
        self._aws = Dependency("SNS")

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all of them; raises Stopped if the process is asked to stop before AWS accepts them.

        A message that may or may not have been accepted is sent again with the same id: the store keeps one.
        """
        for batch in _split(messages):
            retry_until_stopped(
                functools.partial(self._publish_batch, batch),
                dependency=self._aws,
                errors=(*AWS_ERRORS, PublishRefused),
                stop=self._stop,
                beat=self._beat,
            )

    def _publish_batch(self, waiting: list[Message]) -> None:
        """Make one request, and remove from `waiting` the messages that were accepted."""
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
        """Wait while still calling `beat`; raises Stopped if the process is asked to stop."""
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


def greetings(text: str) -> Iterator[Message]:
    """Yield greetings to publish now, numbered from 1, in colors that differ clearly from one to the next."""
    source = f"/producer/{socket.gethostname()}"
    for sequence in itertools.count(1):
        red, green, blue = colorsys.hls_to_rgb(sequence * GOLDEN_RATIO % 1, 0.68, 0.85)
        color = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        yield new_message(source, GREETING, {"text": text, "sequence": sequence, "color": color})


def publish_at_random(
    publisher: Publisher, messages: Iterator[Message], shortest: float, longest: float
) -> None:
    """Publish messages one by one, `shortest` to `longest` seconds apart, until stopped."""
    for message in messages:
        publisher.publish([message])
        publisher.wait(random.uniform(shortest, longest))


def publish_steadily(publisher: Publisher, messages: Iterator[Message], rate: float) -> None:
    """Publish `rate` messages per second until stopped, in as few requests as possible.

    Messages that were due while AWS was away are not published later: a steady rate has no bursts.
    """
    until_full_batch = min((LARGEST_BATCH - 1) / rate, MAX_GATHERING_SECONDS)
    due = time.monotonic()
    while True:
        now = time.monotonic()
        due = max(due, now - MAX_DELAY_SECONDS)
        count = min(LARGEST_BATCH, 1 + int((now - due) * rate))
        publisher.publish(list(itertools.islice(messages, count)))
        due += count / rate
        publisher.wait(due + until_full_batch - time.monotonic())


def _split(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield the messages in batches that fit into one request."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        added = len(message.body.encode()) + len(message.type.encode()) + len(message.source.encode()) + 64
        if batch and (len(batch) == LARGEST_BATCH or size + added > LARGEST_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += added
    if batch:
        yield batch

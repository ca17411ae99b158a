"""A consumer inside the test's process: its real queue, store and handlers, one turn at a time."""

import threading
from collections.abc import Callable, Sequence

from consumer.handler import Failures, Handler, StoreHandler
from consumer.order import AnyOrder, GroupOrder
from consumer.poller import BatchOutcome, Poller, PollerContext
from consumer.queue import Queue
from consumer.visibility import VisibilityKeeper
from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.health import Health
from pipeline.message import Delivery, new_message
from pipeline.redaction import NO_MASK, Mask
from pipeline.store.redrives import Redrives
from tests.support.dead_letters import open_dead_letters
from tests.support.emulators import Names, dead_letter_name
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for

COUNTS = "ApproximateNumberOfMessages"  # and what it begins: visible, in flight, delayed


class TestConsumer:
    """One poller over the queue of a test."""

    __test__ = False

    def __init__(
        self,
        names: Names,
        store: Store,
        *handlers: Handler,
        visibility_timeout_seconds: int = 30,
        retry_seconds: int = 0,
        stall_seconds: float = 60,
        mask: Mask = NO_MASK,
    ) -> None:
        self.stop = threading.Event()
        self.queue = Queue(sqs_client(10), names.queue, visibility_timeout_seconds)
        self.failures = FailureRecords(store)
        self.dead_letters = open_dead_letters(names.queue, self.failures)
        self.keeper = VisibilityKeeper(self.queue)
        self.health = Health(stall_seconds, {})
        self.context = PollerContext(
            queue=self.queue,
            handlers=handlers or [StoreHandler(store)],
            failures=self.failures,
            redrives=Redrives(store.database),
            keeper=self.keeper,
            health=self.health,
            stop=self.stop,
            wait_seconds=1,
            retry_seconds=retry_seconds,
            order=GroupOrder() if self.queue.is_fifo else AnyOrder(),
            mask=mask,
        )
        self.poller = Poller("poller", self.context)

    def take(self, count: int = 1) -> BatchOutcome:
        """Take turns until so many deliveries have come; return what became of them."""
        total = BatchOutcome()

        def enough() -> bool:
            nonlocal total
            total += self.poller.poll_once()
            return len(total.done) + len(total.failed) + len(total.untouched) >= count

        wait_for(enough, what=f"{count} deliveries")
        return total

    def left_in_queue(self) -> int:
        """Return how many messages are visible or in flight."""
        return _count(self.queue.name)

    def dead(self) -> int:
        """Return how many messages are in the dead-letter queue."""
        return _count(dead_letter_name(self.queue.name))


def _count(name: str) -> int:
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(value) for attribute, value in counts.items() if attribute.startswith(COUNTS))


def send(names: Names, *texts: str) -> None:
    """Put these on the queue as they are, as another program would."""
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    for text in texts:
        sqs.send_message(QueueUrl=url, MessageBody=text)


def publish(names: Names, count: int) -> None:
    topic = Topic(sns_client(), names.topic)
    messages = [new_message("/tests", "test.message", {"text": str(number)}) for number in range(count)]
    for start in range(0, count, 10):
        assert topic.publish(messages[start : start + 10]) == []


def stored(store: Store) -> list[str]:
    return sorted(message.preview for message in store.find(limit=500))


def refuse(preview: str, times: int = 1_000) -> Callable[[Sequence[Delivery]], Failures]:
    """Return a handler that fails, so many times, on messages with this preview."""
    left = times

    def handler(deliveries: Sequence[Delivery]) -> Failures:
        nonlocal left
        failures: dict[int, Exception] = {}
        for place, delivery in enumerate(deliveries):
            if delivery.message.preview == preview and left:
                left -= 1
                failures[place] = ValueError(f"{preview} is refused")
        return failures

    return handler

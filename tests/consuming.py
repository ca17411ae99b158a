"""A consumer inside the test's process: its real queue, store and handlers, one turn at a time."""

import threading

from consumer.handler import Handler, StoreHandler
from consumer.poller import BatchOutcome, Poller, PollerContext
from consumer.queue import Queue
from consumer.visibility import VisibilityKeeper
from pipeline.aws import sqs_client
from pipeline.dead_letters import DeadLetterQueue
from pipeline.failures import FailureLog
from pipeline.health import Health
from pipeline.store import Store
from tests.conftest import Names, wait_for

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
    ) -> None:
        self.stop = threading.Event()
        self.queue = Queue(sqs_client(10), names.queue, visibility_timeout_seconds)
        self.failures = FailureLog(store)
        self.dead_letters = DeadLetterQueue(sqs_client(10), names.queue, self.failures)
        self.keeper = VisibilityKeeper(self.queue)
        self.health = Health(stall_seconds, {})
        self.context = PollerContext(
            queue=self.queue,
            handlers=handlers or [StoreHandler(store)],
            failures=self.failures,
            keeper=self.keeper,
            health=self.health,
            stop=self.stop,
            wait_seconds=1,
            retry_seconds=retry_seconds,
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
        return _count(f"{self.queue.name}-dlq")


def _count(name: str) -> int:
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return sum(int(value) for attribute, value in counts.items() if attribute.startswith(COUNTS))

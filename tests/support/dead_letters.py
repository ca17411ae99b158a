"""Dead letters for tests, as a consumer would have recorded them."""

from pipeline.aws import sqs_client
from pipeline.message import Delivery
from pipeline.store.dead_letters import FailureReader
from pipeline.store.failures import FailedTry
from tests.support.examples import raw_arrival
from tests.support.stores import QUEUE, FailureRecords, Store
from viewer.aws.queue_inspection import Queues
from viewer.aws.reconciliation import Reconciler
from viewer.aws.redrive import DeadLetterQueue, own_dead_letter_queue


def open_dead_letters(queue: str, failures: FailureReader) -> DeadLetterQueue:
    """Return the dead-letter queue of this queue."""
    sqs = sqs_client(10)
    return own_dead_letter_queue(sqs, queue, failures, Reconciler(Queues(sqs, queue), failures))


def die(store: Store, text: str, queue: str = QUEUE) -> str:
    """Record that this text has failed at its last try; return its SQS id."""
    delivery = raw_arrival(text, receive_count=5, queue=queue)
    fail(store, delivery)
    return delivery.message_id


def fail(store: Store, *deliveries: Delivery, last: bool = True) -> None:
    """Record that these have failed, at their last try or before."""
    FailureRecords(store).record(
        [FailedTry(delivery, "KeyError", "'sku'", "Traceback: …", last=last) for delivery in deliveries]
    )

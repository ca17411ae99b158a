"""Dead letters for tests, as a consumer would have recorded them."""

from pipeline.message import Delivery
from pipeline.store.failures import FailedTry
from tests.support.examples import raw_arrival
from tests.support.stores import QUEUE, FailureRecords, Store


def die(store: Store, text: str, queue: str = QUEUE) -> str:
    """Record that this text has failed at its last try; return its SQS id."""
    delivery = raw_arrival(text, receive_count=5, queue=queue)
    fail(store, delivery)
    return delivery.message_id


def fail(store: Store, *deliveries: Delivery) -> None:
    """Record that these have failed at their last try."""
    FailureRecords(store).record(
        [FailedTry(delivery, "KeyError", "'sku'", "Traceback: …", last=True) for delivery in deliveries]
    )

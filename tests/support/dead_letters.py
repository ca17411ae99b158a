"""Dead letters for tests, as a consumer would have recorded them."""

from pipeline.failures import FailedTry, FailureLog
from pipeline.store import Store
from tests.support.examples import raw_arrival


def die(store: Store, text: str) -> str:
    delivery = raw_arrival(text, receive_count=5)
    FailureLog(store).record([FailedTry(delivery, "KeyError", "'sku'", "Traceback: …", last=True)])
    return delivery.message_id

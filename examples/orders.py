"""A handler of one's own: HANDLER=store,examples.orders:take_order

Every message is stored and comes here afterwards. One that fails here is tried again, and after five tries it
is a dead letter with the error as its reason.
"""

import logging

from consumer.handler import one_by_one
from pipeline.message import Delivery

log = logging.getLogger(__name__)


@one_by_one
def take_order(delivery: Delivery) -> None:
    """Take an order; whatever is no order is none of our business."""
    message = delivery.message
    if message.type != "shop.order":
        return
    # A KeyError is a fine reason: it becomes visible as "KeyError: 'price'".
    sku, price = message.data["sku"], message.data["price"]
    if price <= 0:
        raise ValueError(f"the price of {sku} is {price}")
    log.info("order taken", extra={"message_id": message.id, "sku": sku, "price": price})

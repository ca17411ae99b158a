"""The smallest handler: HANDLER=store,examples.orders:take_order

Messages are stored first and passed to this handler afterwards. A message that fails here is retried; after
five attempts it is a dead letter, with the error as its reason.
"""

import logging

from consumer.handler import one_by_one
from pipeline.message import Delivery

log = logging.getLogger(__name__)


@one_by_one
def take_order(delivery: Delivery) -> None:
    """Take an order; ignore other messages."""
    message = delivery.message
    if message.type != "shop.order":
        return
    # No need to catch a KeyError: the page shows it as "KeyError: 'price'".
    sku, price = message.data["sku"], message.data["price"]
    if price <= 0:
        raise ValueError(f"the price of {sku} is {price}")
    log.info("order taken", extra={"message_id": message.id, "sku": sku, "price": price})

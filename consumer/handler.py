"""The handler: what is done with a batch of deliveries. It knows nothing of receiving or deleting."""

import logging
from collections.abc import Sequence

from pipeline.message import Delivery, message_from_delivery
from pipeline.store import Store

log = logging.getLogger(__name__)


class StoreHandler:
    """Stores each message once, in one transaction for the batch."""

    def __init__(self, store: Store, queue_name: str) -> None:
        """`queue_name` becomes part of the source of messages that name none."""
        self._store, self._queue_name = store, queue_name

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        """Return when all are durably stored; storing one again changes nothing.

        Raises psycopg.OperationalError while the database cannot be reached.
        """
        messages = [message_from_delivery(delivery, self._queue_name) for delivery in deliveries]
        places = self._store.add(list(zip(messages, deliveries, strict=True)))
        for message, delivery, seq in zip(messages, deliveries, places, strict=True):
            fields = {
                "message_id": message.id,
                "source": message.source,
                "receive_count": delivery.receive_count,
            }
            if seq is None:
                log.info("duplicate", extra=fields)
            else:
                log.info("stored", extra={**fields, "seq": seq})

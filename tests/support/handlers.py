"""Handlers that tests name in HANDLER."""

import logging
import os
import random
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Counter

from consumer.handler import Failures, one_by_one
from pipeline.message import Delivery

STUMBLES = 0.03

log = logging.getLogger(__name__)


@one_by_one
def slow(_delivery: Delivery) -> None:
    """Take HANDLER_SECONDS for each message."""
    log.info("slow handler began")
    time.sleep(float(os.environ.get("HANDLER_SECONDS", "1")))


@one_by_one
def refuse_poison(delivery: Delivery) -> None:
    """Fail on what is poison, until the file that MENDED names exists."""
    if delivery.message.preview.startswith("poison") and not Path(os.environ["MENDED"]).exists():
        raise ValueError(f"{delivery.message.preview} cannot be handled")


@one_by_one
def refuse_some_with_a_quotation(delivery: Delivery) -> None:
    """Fail on a third of all messages, with an error that quotes body and attributes."""
    if zlib.crc32(delivery.message.body.encode("utf-8", "replace")) % 3 == 0:
        raise ValueError(f"cannot handle {delivery.message.body} with {dict(delivery.attributes)}")


def stumble(deliveries: Sequence[Delivery]) -> Failures:
    """Fail on some of all messages, at random."""
    places = (place for place, _ in enumerate(deliveries) if random.random() < STUMBLES)
    return {place: ValueError("stumbled") for place in places}


def record(deliveries: Sequence[Delivery]) -> None:
    """Append the group and the number of each message to the file that RECORD names."""
    with Path(os.environ["RECORD"]).open("a", buffering=1) as file:
        for delivery in deliveries:
            message = delivery.message
            file.write(f"{message.publication.group_id} {message.sequence}\n")


class Shop:
    """Counts orders, and is ready once the file that SHOP names exists."""

    def __init__(self) -> None:
        self._door = Path(os.environ["SHOP"])
        self._orders = Counter("shop_orders", "Orders taken")

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self._orders.inc(len(deliveries))

    def check(self) -> None:
        if not self._door.exists():
            raise ConnectionError("the shop is closed")

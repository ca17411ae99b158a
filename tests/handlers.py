"""Handlers that tests name in HANDLER."""

import logging
import os
import time

from consumer.handler import one_by_one
from pipeline.message import Delivery

log = logging.getLogger(__name__)


@one_by_one
def slow(_delivery: Delivery) -> None:
    """Take HANDLER_SECONDS for each message."""
    log.info("slow handler began")
    time.sleep(float(os.environ.get("HANDLER_SECONDS", "1")))

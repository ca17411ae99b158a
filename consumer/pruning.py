"""Retention: the store keeps the newest messages, and consuming never waits for the removal of others."""

import logging
import threading

from consumer.metrics import PRUNED
from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store import Store

INTERVAL_SECONDS = 5.0

log = logging.getLogger(__name__)


def prune_until_stopped(store: Store, keep: int, stop: threading.Event) -> None:
    """Remove what exceeds `keep` messages, every few seconds."""
    database = Dependency("database, to prune")
    while not stop.wait(INTERVAL_SECONDS):
        try:
            removed = retry_until_stopped(
                lambda: store.prune(keep),
                dependency=database,
                errors=DATABASE_ERRORS,
                stop=stop,
                beat=lambda: None,
            )
        except Stopped:
            return
        except Exception:
            log.exception("pruning failed")
            continue
        if removed:
            PRUNED.inc(removed)
            log.info("pruned", extra={"messages": removed, "kept": keep})

"""Upkeep of the store: it keeps the newest messages, and consuming never waits for what that takes."""

import logging
import threading

from consumer.metrics import PRUNED
from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.writer import Writer

INTERVAL_SECONDS = 5.0

log = logging.getLogger(__name__)


def tend_until_stopped(writer: Writer, keep: int, stop: threading.Event) -> None:
    """Remove what exceeds `keep` messages, and settle the search index, every few seconds."""
    database = Dependency("database, for upkeep")

    def tend() -> int:
        writer.settle_index()
        return writer.prune(keep)

    while not stop.wait(INTERVAL_SECONDS):
        try:
            removed = retry_until_stopped(
                tend,
                dependency=database,
                errors=DATABASE_ERRORS,
                stop=stop,
                beat=lambda: None,
            )
        except Stopped:
            return
        except Exception:
            log.exception("upkeep failed")
            continue
        if removed:
            PRUNED.inc(removed)
            log.info("pruned", extra={"messages": removed, "kept": keep})

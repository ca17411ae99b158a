"""Maintenance of the store, in a thread of its own so that consuming never waits for it."""

import logging
import threading

from consumer.metrics import PRUNED
from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.writer import Writer

INTERVAL_SECONDS = 5.0

log = logging.getLogger(__name__)


def maintain_until_stopped(writer: Writer, keep: int, stop: threading.Event) -> None:
    """Every few seconds, remove all but the newest `keep` messages and settle the search index."""
    database = Dependency("database, for maintenance")

    def maintain() -> int:
        writer.settle_index()
        return writer.prune(keep)

    while not stop.wait(INTERVAL_SECONDS):
        try:
            removed = retry_until_stopped(
                maintain,
                dependency=database,
                errors=DATABASE_ERRORS,
                stop=stop,
                beat=lambda: None,
            )
        except Stopped:
            return
        except Exception:
            log.exception("maintenance failed")
            continue
        if removed:
            PRUNED.inc(removed)
            log.info("pruned", extra={"messages": removed, "kept": keep})

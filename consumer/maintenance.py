"""Maintenance of the store, in a thread of its own so that consuming never waits for it."""

import logging
import threading
from collections.abc import Callable, Sequence

from consumer.metrics import PRUNED, PRUNED_FAILURES
from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.stopping import Stopped
from pipeline.store.copies import Copies
from pipeline.store.failures import FailureLog
from pipeline.store.redrives import Redrives
from pipeline.store.writer import Writer

INTERVAL_SECONDS = 5.0

log = logging.getLogger(__name__)


def maintain_until_stopped(
    writer: Writer,
    failures: FailureLog,
    sent: Sequence[Redrives | Copies],
    *,
    note_reader: Callable[[], None],
    keep: int,
    stop: threading.Event,
) -> None:
    """Every few seconds, settle the search index and keep only the newest `keep` messages and failures.

    `sent` are the records of what the viewer sent: of these, the old ones are removed. `note_reader` records
    that this consumer still reads its queue.
    """
    database = Dependency("database, for maintenance")

    def maintain() -> tuple[int, int]:
        note_reader()
        writer.settle_index()
        for records in sent:
            records.prune()
        return writer.prune(keep), failures.prune(keep)

    while not stop.wait(INTERVAL_SECONDS):
        try:
            messages, failed = retry_until_stopped(
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
        if messages or failed:
            PRUNED.inc(messages)
            PRUNED_FAILURES.inc(failed)
            log.info("pruned", extra={"messages": messages, "failures": failed, "kept": keep})

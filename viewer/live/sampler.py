"""The sampler: every few seconds, stores figures of the queues and the store, and reports their depths."""

import logging
import threading
import time
from datetime import UTC, datetime

from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain
from viewer.aws.queue_inspection import Queues
from viewer.live.samples import SAMPLE_SECONDS, Depths, Samples, sample_end
from viewer.metrics import report_depths

log = logging.getLogger(__name__)


class Sampler:
    """A loop in a thread. It leaves out what it cannot read: a figure is not worth a retry or an alarm."""

    def __init__(self, samples: Samples, queues: Queues, stop: threading.Event) -> None:
        """Start nothing yet."""
        self._samples, self._queues, self._stop = samples, queues, stop

    def run(self) -> None:
        """Sample until stopped."""
        while not self._stop.wait(SAMPLE_SECONDS - time.time() % SAMPLE_SECONDS):
            try:
                depths = self._depths()
                report_depths(self._queues.name, depths)
                self._samples.record(sample_end(datetime.now(UTC)), depths)
            except DATABASE_ERRORS as error:
                log.debug("no sample", extra={"reason": explain(error)})
            except Exception:
                log.exception("no sample")

    def _depths(self) -> Depths:
        try:
            queue, dead = self._queues.depths()
        except AWS_ERRORS:
            return Depths()
        return Depths(queue.visible, queue.in_flight, queue.delayed, dead.total if dead else None)

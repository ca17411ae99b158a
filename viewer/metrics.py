"""The viewer's Prometheus metrics, named as its "Metric and label naming" recommends."""

import contextlib

from prometheus_client import Gauge

from viewer.live.samples import Depths

QUEUE_MESSAGES = Gauge("fanout_queue_messages", "About how many messages the queue holds", ["queue", "state"])
DEAD_LETTERS = Gauge(
    "fanout_dead_letters", "About how many messages the dead-letter queue of this queue holds", ["queue"]
)


def report_depths(queue: str, depths: Depths) -> None:
    """Report what is known from now on. What is unknown is left out: an old figure would mislead."""
    for state in ("visible", "in_flight", "delayed"):
        _set(QUEUE_MESSAGES, (queue, state), getattr(depths, state))
    _set(DEAD_LETTERS, (queue,), depths.dead)


def _set(gauge: Gauge, labels: tuple[str, ...], value: int | None) -> None:
    if value is not None:
        gauge.labels(*labels).set(value)
        return
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)

"""The consumer's Prometheus metrics, named as its "Metric and label naming" recommends."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("fanout_messages_received", "Deliveries received from the queue", ["queue"])
HANDLED = Counter("fanout_messages_handled", "Deliveries that every handler took", ["queue"])
FAILED = Counter("fanout_messages_failed", "Deliveries that a handler failed on", ["queue", "reason"])
DUPLICATES = Counter(
    "fanout_messages_duplicate",
    "Deliveries of messages that were stored already and had not failed",
    ["queue"],
)
CONFLICTS = Counter(
    "fanout_messages_conflict",
    "Messages stored with the identity of another message, but another content",
    ["queue"],
)
DELETED = Counter("fanout_messages_deleted", "Messages deleted from the queue", ["queue"])
DEAD_LETTERED = Counter("fanout_messages_dead_lettered", "Messages that failed at their last try", ["queue"])
PRUNED = Counter("fanout_messages_pruned", "Messages removed from the store for RETENTION_MESSAGES")
PRUNED_FAILURES = Counter(
    "fanout_failures_pruned", "Failures removed from the store for their age or RETENTION_MESSAGES"
)
IN_FLIGHT = Gauge("fanout_messages_in_flight", "Deliveries in hand now", ["queue"])
LAST_POLL = Gauge("fanout_last_poll_timestamp_seconds", "When a poll was last completed", ["queue", "poller"])
BATCH_SIZE = Histogram("fanout_batch_size_messages", "Messages in a batch", ["queue"], buckets=range(1, 11))
HANDLING = Histogram("fanout_handling_seconds", "Time to handle a batch", ["queue"])
LATENCY = Histogram(
    "fanout_end_to_end_latency_seconds",
    "Time from publishing a message until it was handled",
    ["queue"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
TAPPED = Gauge("fanout_tapped_topics", "Topics that the tap is subscribed to", ["queue"])
TAP_PROBLEMS = Gauge("fanout_tap_problems", "Reasons for which the tap is not complete", ["queue"])


class QueueMetrics:
    """The metrics of one queue, which exist from now on: a lookup by label for each message costs time."""

    def __init__(self, queue: str) -> None:
        """Use this value of the label `queue`."""
        self.queue = queue
        self.received = RECEIVED.labels(queue)
        self.handled = HANDLED.labels(queue)
        self.deleted = DELETED.labels(queue)
        self.dead_lettered = DEAD_LETTERED.labels(queue)
        self.in_flight = IN_FLIGHT.labels(queue)
        self.batch_size = BATCH_SIZE.labels(queue)
        self.handling = HANDLING.labels(queue)
        self.latency = LATENCY.labels(queue)

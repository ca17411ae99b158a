"""The consumer's Prometheus metrics, named as its "Metric and label naming" recommends."""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("fanout_messages_received", "Deliveries received from the queue")
HANDLED = Counter("fanout_messages_handled", "Deliveries that every handler took")
FAILED = Counter("fanout_messages_failed", "Deliveries that a handler failed on", ["reason"])
DUPLICATES = Counter(
    "fanout_messages_duplicate", "Deliveries of messages that were stored already and had not failed"
)
CONFLICTS = Counter(
    "fanout_messages_conflict", "Messages stored with the identity of another message, but another content"
)
DELETED = Counter("fanout_messages_deleted", "Messages deleted from the queue")
DEAD_LETTERED = Counter("fanout_messages_dead_lettered", "Messages that failed at their last try")
PRUNED = Counter("fanout_messages_pruned", "Messages removed from the store for RETENTION_MESSAGES")
PRUNED_FAILURES = Counter(
    "fanout_failures_pruned", "Failures removed from the store for their age or RETENTION_MESSAGES"
)
IN_FLIGHT = Gauge("fanout_messages_in_flight", "Deliveries in hand now")
LAST_POLL = Gauge("fanout_last_poll_timestamp_seconds", "When a poll was last completed", ["poller"])
BATCH_SIZE = Histogram("fanout_batch_size_messages", "Messages in a batch", buckets=range(1, 11))
HANDLING = Histogram("fanout_handling_seconds", "Time to handle a batch")
LATENCY = Histogram(
    "fanout_end_to_end_latency_seconds",
    "Time from publishing a message until it was handled",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)

"""The producer's Prometheus metrics, named as its "Metric and label naming" recommends."""

from prometheus_client import Counter, Histogram

PUBLISHED = Counter("fanout_messages_published", "Messages that SNS accepted")
REFUSED = Counter("fanout_messages_refused", "Messages that SNS refused; they are sent again")
ATTEMPTS = Counter("fanout_publish_attempts", "Requests to publish, the repeated ones included", ["outcome"])
PUBLISHING = Histogram("fanout_publishing_seconds", "Time of one request to publish")

"""The producer's metrics, named by Prometheus' conventions ("Metric and label naming")."""

from prometheus_client import Counter, Histogram

PUBLISHED = Counter("fanout_messages_published", "Messages that SNS accepted")
REFUSED = Counter("fanout_messages_refused", "Messages that SNS refused; they are sent again")
ATTEMPTS = Counter("fanout_publish_attempts", "Publish requests, including retries", ["outcome"])
PUBLISHING = Histogram("fanout_publishing_seconds", "Duration of a publish request")

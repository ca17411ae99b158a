"""The producer's entry point: reads the settings, sets up logs and health, publishes until stopped."""

import contextlib
import logging

from pipeline.aws import Topic, sns_client
from pipeline.health import Health, serve_health
from pipeline.logs import set_up_logging
from pipeline.settings import load_settings
from pipeline.stopping import Stopped, stop_on_signals
from producer.publish import Publisher, greetings, publish_at_random_intervals, publish_at_steady_rate
from producer.settings import ProducerSettings

log = logging.getLogger("producer")


def main() -> None:
    """Run the producer until SIGTERM or SIGINT."""
    settings = load_settings(ProducerSettings)
    set_up_logging("producer", settings)
    stop = stop_on_signals()

    topic = Topic(sns_client(), settings.topic_name)
    health = Health(settings.stall_seconds, checks={"aws": Topic(sns_client(2), settings.topic_name).check})
    serve_health(health, settings.host, settings.port)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})

    messages = greetings(settings.message, settings.message_groups)
    publisher = Publisher(topic, stop, beat=lambda: health.beat("publishing"))
    with contextlib.suppress(Stopped):
        if settings.rate_per_second is None:
            publish_at_random_intervals(
                publisher,
                messages,
                settings.min_interval_seconds,
                settings.max_interval_seconds,
            )
        else:
            publish_at_steady_rate(publisher, messages, settings.rate_per_second)
    log.info("stopped")


if __name__ == "__main__":
    main()

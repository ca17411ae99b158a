"""The consumer's wiring: settings, logs, queue, store, health, then poll until asked to stop."""

import logging
import threading

from consumer.handler import StoreHandler
from consumer.poller import Poller
from consumer.queue import Queue
from consumer.settings import ConsumerSettings
from pipeline.aws import sqs_client
from pipeline.health import Health, serve_health
from pipeline.logs import set_up_logging
from pipeline.retry import DATABASE_ERRORS, retry_until_stopped
from pipeline.settings import load_settings
from pipeline.stopping import Stopped, stop_on_signals
from pipeline.store import Store

# A long poll cannot be cut short without losing what it brings to the visibility timeout, so it gets a little
# time to end by itself. Kubernetes allows 30 seconds by default, `make run` promises 5.
DRAIN_SECONDS = 3.0

log = logging.getLogger("consumer")


def main() -> None:
    """Run the consumer until SIGTERM or SIGINT."""
    settings = load_settings(ConsumerSettings)
    set_up_logging("consumer", settings)
    stop = stop_on_signals()

    store = Store(settings.database_url.get_secret_value())
    queue = Queue(sqs_client(), settings.queue_name, settings.visibility_timeout_seconds)
    probed_queue = Queue(sqs_client(2), settings.queue_name, settings.visibility_timeout_seconds)
    health = Health(settings.stall_seconds, checks={"aws": probed_queue.check, "database": store.check})
    serve_health(health, settings.host, settings.port)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})

    def beat() -> None:
        health.beat("polling")

    def consume() -> None:
        try:
            retry_until_stopped(
                store.create_schema, what="database", errors=DATABASE_ERRORS, stop=stop, beat=beat
            )
            Poller(queue, StoreHandler(store, queue.name), stop, beat).run()
        except Stopped:
            pass

    poller = threading.Thread(target=consume, name="poller", daemon=True)
    poller.start()
    stop.wait()
    health.drain()
    poller.join(DRAIN_SECONDS)
    log.info("stopped")


if __name__ == "__main__":
    main()

"""The consumer's wiring: settings, logs, queue, store, handlers, health, then poll until asked to stop."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from consumer.faults import FaultInjector, parse_faults
from consumer.handler import load_handlers
from consumer.maintenance import maintain_until_stopped
from consumer.poller import Poller, PollerContext
from consumer.queue import Queue
from consumer.settings import ANSWER_SECONDS, ConsumerSettings
from consumer.visibility import VisibilityKeeper
from pipeline.aws import sqs_client
from pipeline.health import Health, serve_health
from pipeline.logs import set_up_logging
from pipeline.redaction import Mask
from pipeline.retry import DATABASE_ERRORS, retry_until_stopped
from pipeline.settings import load_settings
from pipeline.stopping import Stopped, stop_on_signals
from pipeline.store.failures import FailureLog
from pipeline.store.faults import FaultShare
from pipeline.store.migrate import check_schema, migrate, open_database
from pipeline.store.redrives import Redrives
from pipeline.store.writer import Writer

PROBE_TIMEOUT_SECONDS = 2
# A long poll cannot be cancelled, and messages that it returns after the process has ended stay hidden until
# their visibility timeout expires. So polls get this long to return messages that can still be handled.
# `make run` promises to end within 5 seconds.
LAST_POLL_SECONDS = 2.5
# Python handles a signal that arrives just before a wait begins only when that wait ends.
SIGNAL_SECONDS = 0.25

log = logging.getLogger("consumer")


def main() -> None:
    """Run the consumer until SIGTERM or SIGINT."""
    settings = load_settings(ConsumerSettings)
    set_up_logging("consumer", settings)
    stop = stop_on_signals()

    database = open_database(settings.database_url.get_secret_value(), max_connections=settings.pollers + 4)
    mask = Mask(settings.redacted_fields)
    writer = Writer(database, mask)
    queue, probed_queue = (
        Queue(
            sqs_client(timeout),
            settings.queue_name,
            settings.visibility_timeout_seconds,
            settings.topic_name,
        )
        for timeout in (settings.wait_time_seconds + ANSWER_SECONDS, PROBE_TIMEOUT_SECONDS)
    )
    handlers = load_handlers(settings.handler, writer)
    faults = FaultInjector(parse_faults(settings.faults), stop) if settings.faults else None
    if faults:
        handlers.append(faults)
    checks = {"aws": probed_queue.check, "database": lambda: check_schema(database)}
    health = Health(settings.stall_seconds, checks)
    serve_health(health, settings.host, settings.port)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})

    failures, redrives = FailureLog(database), Redrives(database)
    context = PollerContext(
        queue=queue,
        handlers=handlers,
        failures=failures,
        redrives=redrives,
        keeper=VisibilityKeeper(queue),
        health=health,
        stop=stop,
        wait_seconds=settings.wait_time_seconds,
        retry_seconds=settings.retry_seconds,
        mask=mask,
    )
    try:
        retry_until_stopped(
            lambda: migrate(database, settings.queue_name),
            dependency=context.database,
            errors=DATABASE_ERRORS,
            stop=stop,
            beat=lambda: health.beat("start"),
        )
    except Stopped:
        return
    pollers = [Poller(f"poller-{number}", context) for number in range(1, settings.pollers + 1)]
    threads = {poller: _start(poller.name, poller.run) for poller in pollers}
    _start(
        "maintenance",
        *(maintain_until_stopped, writer, failures, redrives, settings.retention_messages, stop),
    )
    if faults:
        _start("faults", faults.follow, FaultShare(database))
    drained = threading.Event()
    _start("visibility", context.keeper.run, drained)

    while not stop.wait(SIGNAL_SECONDS):
        pass
    health.drain()
    _drain(threads)
    drained.set()
    log.info("stopped")


def _start(name: str, target: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(name=name, target=target, args=args, daemon=True)
    thread.start()
    return thread


def _drain(threads: Mapping[Poller, threading.Thread]) -> None:
    """Wait until every poller has finished its batch, and a short time for those that are still receiving."""
    give_up_at = time.monotonic() + LAST_POLL_SECONDS
    for poller, thread in threads.items():
        while thread.is_alive() and not (poller.is_receiving and time.monotonic() > give_up_at):
            thread.join(0.05)


if __name__ == "__main__":
    main()

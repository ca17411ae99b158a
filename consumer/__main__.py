"""The consumer's wiring: settings, logs, queue, store, handlers, health, then poll until asked to stop."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from consumer.faults import FaultInjector, parse_faults
from consumer.maintenance import maintain_until_stopped
from consumer.order import AnyOrder, GroupOrder
from consumer.poller import Poller, PollerContext
from consumer.settings import ConsumerSettings
from consumer.sources import Source, open_tap, own_source, tap_source
from consumer.visibility import VisibilityKeeper
from pipeline.health import Health, serve_health
from pipeline.logs import set_up_logging
from pipeline.redaction import Mask
from pipeline.retry import DATABASE_ERRORS, Dependency, retry_until_stopped
from pipeline.settings import load_settings
from pipeline.stopping import Stopped, stop_on_signals
from pipeline.store.copies import Copies
from pipeline.store.failures import FailureLog
from pipeline.store.faults import FaultShare
from pipeline.store.migrate import check_schema, migrate, open_database
from pipeline.store.readers import Readers
from pipeline.store.redrives import Redrives
from pipeline.store.taps import Taps, WatchedTopics
from pipeline.store.writer import Writer

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

    database = open_database(
        settings.database_url.get_secret_value(),
        max_connections=settings.pollers * (2 if settings.watch else 1) + 4,
    )
    mask = Mask(settings.redacted_fields)
    writer, failures, redrives = Writer(database, mask), FailureLog(database), Redrives(database)
    is_faulty = settings.faults and not settings.watch_only
    faults = FaultInjector(parse_faults(settings.faults), stop) if is_faulty else None
    readers = Readers(database)
    tap = open_tap(settings, readers)
    tapped = tap_source(settings, tap, writer) if tap else None
    sources = [] if settings.watch_only else [own_source(settings, writer, faults)]
    sources += [tapped] if tapped else []
    checks = {name: check for source in sources for name, check in source.checks.items()}

    def check_database() -> None:
        check_schema(database)
        writer.check_commits()

    health = Health(settings.stall_seconds, {**checks, "database": check_database})
    serve_health(health, settings.host, settings.port)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})

    database_away = Dependency("database")
    contexts = {
        source: PollerContext(
            queue=source.queue,
            handlers=source.handlers,
            failures=failures,
            redrives=redrives,
            keeper=VisibilityKeeper(source.queue),
            health=health,
            stop=stop,
            wait_seconds=settings.wait_time_seconds,
            retry_seconds=settings.retry_seconds,
            order=GroupOrder() if source.queue.is_fifo else AnyOrder(),
            mask=mask,
            aws=source.receiving,
            acknowledging=source.acknowledging,
            database=database_away,
        )
        for source in sources
    }

    def note_reader() -> None:
        if not settings.watch_only:
            readers.note(settings.queue_name)

    def prepare() -> None:
        migrate(database, settings.queue_name)
        note_reader()

    try:
        retry_until_stopped(
            prepare,
            dependency=database_away,
            errors=DATABASE_ERRORS,
            stop=stop,
            beat=lambda: health.beat("start"),
        )
    except Stopped:
        return
    if tap and tapped:
        tell = functools.partial(_tell, health, Taps(database), tapped)
        _start("tap", tap.keep_until_stopped, stop, lambda: health.beat("tap"), tell)
    pollers = [
        Poller(f"{source.poller}-{number}", context)
        for source, context in contexts.items()
        for number in range(1, settings.pollers + 1)
    ]
    threads = {poller: _start(poller.name, poller.run) for poller in pollers}
    maintain = functools.partial(
        maintain_until_stopped, note_reader=note_reader, keep=settings.retention_messages, stop=stop
    )
    _start("maintenance", maintain, writer, failures, (redrives, Copies(database)))
    if faults:
        _start("faults", faults.follow, FaultShare(database))
    drained = threading.Event()
    for context in contexts.values():
        _start("visibility", context.keeper.run, drained)

    while not stop.wait(SIGNAL_SECONDS):
        pass
    health.drain()
    _drain(threads)
    drained.set()
    log.info("stopped")


def _tell(health: Health, taps: Taps, source: Source, watched: WatchedTopics) -> None:
    """Tell what is watched: an operator by readiness, readers by the store."""
    problems, away = watched.problems, source.why_not_read
    if away and not any(away in line for line in problems):
        problems = [*problems, f"the queue {watched.queue} is not read: {away}"]
    health.warn(problems)
    with contextlib.suppress(*DATABASE_ERRORS):  # the pollers say that it is away
        taps.tell(replace(watched, problems=problems))


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

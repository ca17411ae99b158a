"""Handlers process batches of deliveries. Receiving and deleting messages is not their concern.

A handler is a callable that takes a sequence of deliveries and returns those that failed, as a mapping from
their index in the sequence to the exception. None or an empty mapping means that all succeeded. A handler
that raises is called again with each of them alone: those fail for which it raises again. If it raises
`Unavailable`, because something it depends on is away, none fails and the same batch is handled again until
it succeeds.

SQS delivers at least once, so a handler may receive a message twice, and repeating it must be harmless.

Two attributes of the callable are optional: `batch_size` limits how many deliveries it receives at once, and
`check` is a function that raises while the handler is not ready, which readiness reports under its name.
"""

import functools
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence

import psycopg

from consumer.metrics import CONFLICTS, DUPLICATES
from pipeline.message import Delivery
from pipeline.retry import explain, is_outage
from pipeline.store.writer import Conflict, Writer

Failures = Mapping[int, Exception]
Handler = Callable[[Sequence[Delivery]], Failures | None]
Check = Callable[[], None]

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """Raised by a handler when something it depends on is away. It uses up no message's tries."""


def one_by_one(handle: Callable[[Delivery], None]) -> Handler:
    """Turn a function that takes one delivery, and raises if it fails, into a handler."""

    @functools.wraps(handle)
    def handle_batch(deliveries: Sequence[Delivery]) -> Failures:
        [delivery] = deliveries
        handle(delivery)
        return {}

    handle_batch.batch_size = 1  # type: ignore[attr-defined]
    return handle_batch


def load_handlers(names: str, writer: Writer) -> dict[str, Handler]:
    """Return the handlers that HANDLER names, by these names; exits with one line if one cannot be imported.

    Of a class, an instance is made, so that a handler can read settings and connect when it starts.
    """
    return {
        name: StoreHandler(writer) if name == "store" else _load(name)
        for name in map(str.strip, names.split(","))
    }


def _load(name: str) -> Handler:
    module, _, attribute = name.partition(":")
    try:
        handler = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"HANDLER={name!r} cannot be loaded: {explain(error)}") from None
    if isinstance(handler, type):
        handler = handler()
    if not callable(handler):
        raise SystemExit(f"HANDLER={name!r} is not callable")
    return handler  # type: ignore[no-any-return]


def checks_of(handlers: Mapping[str, Handler]) -> dict[str, Check]:
    """Return the readiness checks of those handlers that have one, by the names of the handlers."""
    checks = {name: getattr(handler, "check", None) for name, handler in handlers.items()}
    return {name: check for name, check in checks.items() if check}


class StoreHandler:
    """Stores each message once, a batch at a time."""

    def __init__(self, writer: Writer) -> None:
        """Use this writer."""
        self._writer = writer

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        """Store durably; storing a message again changes nothing.

        Raises what the database raises if it refuses one of them for its content: then none is stored.
        """
        try:
            self._add(deliveries)
        except psycopg.Error as error:
            if is_outage(error):
                raise Unavailable(explain(error)) from error
            raise
        return {}

    def _add(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, added in zip(deliveries, self._writer.add(deliveries), strict=True):
            fields = {
                "message_id": delivery.message.id,
                "source": delivery.message.source,
                "queue": delivery.queue,
            }
            if isinstance(added, int):
                log.info("stored", extra={**fields, "seq": added})
            elif isinstance(added, Conflict):
                CONFLICTS.labels(delivery.queue).inc()
                log.warning("conflict", extra={**fields, "seq": added.seq, "conflict_of": added.of})
            else:
                DUPLICATES.labels(delivery.queue).inc(added == "duplicate")
                log.info(added, extra={**fields, "receive_count": delivery.receive_count})

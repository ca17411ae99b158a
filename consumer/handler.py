"""Handlers: what is done with a batch of deliveries. They know nothing of receiving or deleting.

A handler is any callable that takes a sequence of deliveries and returns which of them failed, by their place
in the sequence, each with its exception; None or an empty mapping means that all succeeded. Raising fails all
of them. Raising `Unavailable` fails none: what the handler depends on is away, and the same batch is handled
again until it is back. It may be given a message more than once (SQS delivers at least once), so repeating
must be harmless. An attribute `batch_size` on the callable limits how many it is given at once.
"""

import functools
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence

import psycopg

from consumer.metrics import DUPLICATES
from pipeline.message import Delivery
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.store.writer import Writer

Failures = Mapping[int, Exception]
Handler = Callable[[Sequence[Delivery]], Failures | None]

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """Raised by a handler whose own dependency is away: not the messages' fault, and costs them no try."""


def one_by_one(handle: Callable[[Delivery], None]) -> Handler:
    """Make a handler of a function that takes one delivery, and raises if it fails."""

    @functools.wraps(handle)
    def handle_batch(deliveries: Sequence[Delivery]) -> Failures:
        [delivery] = deliveries
        handle(delivery)
        return {}

    handle_batch.batch_size = 1  # type: ignore[attr-defined]
    return handle_batch


def load_handlers(names: str, writer: Writer) -> list[Handler]:
    """Return the handlers that HANDLER names; ends the process with one line if one cannot be imported."""
    return [
        StoreHandler(writer) if name.strip() == "store" else _load(name.strip()) for name in names.split(",")
    ]


def _load(name: str) -> Handler:
    module, _, attribute = name.partition(":")
    try:
        handler = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"HANDLER={name!r} cannot be loaded: {explain(error)}") from None
    if not callable(handler):
        raise SystemExit(f"HANDLER={name!r} is not callable")
    return handler  # type: ignore[no-any-return]


class StoreHandler:
    """Stores each message once, a batch in one transaction."""

    def __init__(self, writer: Writer) -> None:
        """Store with this writer."""
        self._writer = writer

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        """Return when all that can be are durably stored; storing one again changes nothing."""
        try:
            self._add(deliveries)
        except psycopg.Error as error:
            if _is_outage(error):
                raise Unavailable(explain(error)) from error
            # One of them is refused for what it holds. Alone, the others go through.
            if len(deliveries) == 1:
                return {0: error}
            return {
                place: failure
                for place, delivery in enumerate(deliveries)
                for failure in self([delivery]).values()
            }
        return {}

    def _add(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, added in zip(deliveries, self._writer.add(deliveries), strict=True):
            fields = {"message_id": delivery.message.id, "source": delivery.message.source}
            if isinstance(added, int):
                log.info("stored", extra={**fields, "seq": added})
            else:
                DUPLICATES.inc(added == "duplicate")
                log.info(added, extra={**fields, "receive_count": delivery.receive_count})


def _is_outage(error: psycopg.Error) -> bool:
    """Tell an error of the server or the way to it from one that the statement itself causes.

    Class 54, "Program Limit Exceeded", counts as operational for psycopg, but no waiting mends it
    ("PostgreSQL Error Codes").
    """
    return isinstance(error, DATABASE_ERRORS) and not (error.sqlstate or "").startswith("54")

"""The handler: HANDLER=store,examples.visits.handler:VisitCounter counts each view once."""

import time
from collections.abc import Sequence

import psycopg
from prometheus_client import Counter

from consumer.handler import Failures, Unavailable
from examples.visits.counts import Visits
from examples.visits.views import VIEW, page_of
from pipeline.message import Delivery
from pipeline.retry import explain, is_outage
from pipeline.settings import DatabaseSettings, load_settings
from pipeline.store.migrate import open_database

FORGET_SECONDS = 3600

COUNTED = Counter("visits_counted", "Views that were counted")
REPEATED = Counter("visits_repeated", "Deliveries of views that had been counted before")


class VisitCounter:
    """Counts views in the database of the store."""

    def __init__(self) -> None:
        """Read the settings; connect when the first message comes, or the first probe."""
        settings = load_settings(DatabaseSettings)
        self._visits = Visits(open_database(settings.database_url.get_secret_value()))
        self._forget_at = time.monotonic() + FORGET_SECONDS

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        """Count the views among these. Those that name no page fail, and none of the others."""
        views: list[tuple[bytes, str]] = []
        failures: dict[int, Exception] = {}
        for place, delivery in enumerate(deliveries):
            if delivery.message.type != VIEW:
                continue
            try:
                views.append((delivery.message.identity, page_of(delivery.message)))
            except ValueError as error:
                failures[place] = error
        self._count(views)
        return failures

    def check(self) -> None:
        """Return if views can be counted."""
        self._visits.check()

    def _count(self, views: Sequence[tuple[bytes, str]]) -> None:
        try:
            counted = self._visits.count(views)
            if time.monotonic() > self._forget_at:
                self._forget_at = time.monotonic() + FORGET_SECONDS
                self._visits.forget()
        except psycopg.Error as error:
            if is_outage(error):
                raise Unavailable(explain(error)) from error
            raise
        COUNTED.inc(counted)
        REPEATED.inc(len(views) - counted)

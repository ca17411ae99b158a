"""Searches: the share of the database that they have, which bounds what each costs and how many run at once.

Everything else (the page, the tail, probes) has connections of its own, and never waits for a search.
"""

import contextlib
import threading
from collections.abc import Iterator

import psycopg
from psycopg.rows import TupleRow

from pipeline.search.sql import Search
from pipeline.store.connection import Database

# Of those that an index answers, and of those that read texts: neither kind waits for the other.
MAX_AT_ONCE = 2
MAX_CONNECTIONS = 2 * MAX_AT_ONCE
SEARCH_SECONDS = 5.0
WAIT_SECONDS = 3.0
RETRY_SECONDS = 5


class SearchFailed(Exception):
    """A search was not carried out to its end; the text says why, and what to do about it."""


class SearchTooSlow(SearchFailed):
    """The server ended it: it took longer than a search may."""


class TooManySearches(SearchFailed):
    """Too many others are running."""


class Searches:
    """Lends connections for searches, a few at a time."""

    def __init__(self, database: Database) -> None:
        """`database` should be used for nothing else, and end statements after SEARCH_SECONDS."""
        self._database = database
        self._turns = {scanning: threading.Semaphore(MAX_AT_ONCE) for scanning in (False, True)}

    @contextlib.contextmanager
    def connection(self, search: Search, *, patient: bool = False) -> Iterator[psycopg.Connection[TupleRow]]:
        """Lend a connection for this search; see `Database.connection`. Raises SearchFailed."""
        turns = self._turns[search.scans > 0]
        if not turns.acquire(timeout=WAIT_SECONDS):
            raise TooManySearches("too many searches are running: try again in a few seconds")
        try:
            with self._database.connection(patient=patient) as connection:
                yield connection
        except psycopg.errors.QueryCanceled:
            raise SearchTooSlow(_explain(search)) from None
        finally:
            turns.release()


def _explain(search: Search) -> str:
    advice = "add what narrows it, such as type:shop.order, after:1h or a whole word"
    if search.scans:
        advice += ", or search for words instead of phrases and punctuation"
    return f"the search took too long and was ended: {advice}"

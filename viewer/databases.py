"""The viewer's connections to the store: for reading, for searches and for matching, apart from each other.

So a search can take no connection from the page, the tail or a probe. The server itself ends what takes too
long, whatever happens to the viewer meanwhile.
"""

import select
from dataclasses import dataclass

from flask import has_request_context, request
from gevent.monkey import get_original

from pipeline.store import matching, searches
from pipeline.store.connection import Database
from pipeline.store.matching import MATCH_SECONDS, Matching
from pipeline.store.migrate import open_database
from pipeline.store.searches import SEARCH_SECONDS, Searches

MAX_CONNECTIONS = 6
# Longer than any of these takes, shorter than ANSWER_SECONDS.
READ_SECONDS = 10.0

# gevent's own poll does not know hang-ups. Where the system does not either (macOS), nothing is cancelled.
_poll = get_original("select", "poll")
_HUNG_UP = getattr(select, "POLLRDHUP", 0)


@dataclass(frozen=True, slots=True)
class Databases:
    """One store, in three shares."""

    store: Database
    searches: Searches
    matching: Matching


def open_databases(database_url: str) -> Databases:
    """Return the shares of this store; each connection is opened when it is first needed."""
    return Databases(
        open_database(database_url, max_connections=MAX_CONNECTIONS, statement_seconds=READ_SECONDS),
        Searches(
            open_database(
                database_url,
                max_connections=searches.MAX_CONNECTIONS,
                statement_seconds=SEARCH_SECONDS,
                abandoned=_client_has_left,
            )
        ),
        Matching(
            open_database(
                database_url,
                max_connections=matching.MAX_CONNECTIONS,
                statement_seconds=MATCH_SECONDS,
            )
        ),
    )


def _client_has_left() -> bool:
    """Return whether the client of the current request, if there is one, has closed its connection."""
    connection = request.environ.get("gunicorn.socket") if has_request_context() else None
    if connection is None or connection.fileno() < 0:
        return connection is not None
    poll = _poll()
    poll.register(connection.fileno(), _HUNG_UP)
    return bool(poll.poll(0))

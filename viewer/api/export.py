"""Export: a whole search as a file, `GET /api/messages.ndjson` and `.csv`, oldest first.

It is read page by page, each in a query of its own: memory stays constant however much there is, and no
transaction stays open for as long as a slow reader takes.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from flask import Response

from pipeline.problems import Problem
from pipeline.search.sql import Search
from pipeline.store.reader import Reader
from viewer.api import examples
from viewer.api.answers import rfc3339, to_json
from viewer.api.blueprint import ApiBlueprint, problems, text
from viewer.api.models import ExportedMessage, SearchQuery
from viewer.api.views import Views
from viewer.live.hub import Hub

# A message has up to 1 MiB; this many are in memory at once.
PAGE = 25
Writer = Callable[[Iterable[ExportedMessage]], Iterator[str]]
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = (
    "seq",
    "time",
    "event_time",
    "type",
    "source",
    "id",
    "preview",
    "size",
    "receive_count",
    "stored_at",
    "latency_seconds",
    "since_previous_seconds",
    "attributes",
    "body",
    "conflict_of",
)


def export_blueprint(reader: Reader, hub: Hub, views: Views, *, allowed: bool) -> ApiBlueprint:
    """Return both exports; they answer 403 unless `allowed`."""
    blueprint = ApiBlueprint("export", __name__, about="A whole search as a file")

    @blueprint.before_request
    def refuse() -> None:
        if not allowed:
            raise Problem(403, "export is switched off (EXPORT=off)")

    @blueprint.get(
        "/api/messages.ndjson",
        responses={
            **text("application/x-ndjson", "a message in each line", examples.NDJSON),
            **problems(403),
        },
    )
    def export_ndjson(query: SearchQuery) -> Response:
        """Export a search as JSON lines.

        Oldest first, each message with its payload.
        """
        return answer(query.search, "ndjson", "application/x-ndjson", _ndjson)

    @blueprint.get(
        "/api/messages.csv",
        responses={**text("text/csv", "a message in each row", examples.CSV), **problems(403)},
    )
    def export_csv(query: SearchQuery) -> Response:
        """Export a search as CSV.

        Oldest first. A text that a spreadsheet would take for a formula begins with an apostrophe.
        """
        return answer(query.search, "csv", "text/csv", _csv)

    def answer(wanted: Search, kind: str, mimetype: str, write: Writer) -> Response:
        messages = _read(reader, wanted, hub.newest_stored(), views)
        name = f"messages-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
        return Response(
            write(messages),
            mimetype=mimetype,
            headers={
                "Content-Disposition": f"attachment; filename={name}",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
        )

    return blueprint


def _read(reader: Reader, wanted: Search, newest: int, views: Views) -> Iterator[ExportedMessage]:
    seq = 0
    while page := reader.read(wanted, after=seq, before=newest + 1, limit=PAGE):
        yield from map(views.exported, page)
        seq = page[-1].seq


def _ndjson(messages: Iterable[ExportedMessage]) -> Iterator[str]:
    for message in messages:
        yield to_json(message) + "\n"


def _csv(messages: Iterable[ExportedMessage]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for message in messages:
        writer.writerow([_cell(getattr(message, name)) for name in CSV_COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    """Return what a cell holds: no text that a spreadsheet takes for a formula ("CSV Injection", OWASP)."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return json.dumps(value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value

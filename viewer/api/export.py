"""Export: a whole search as a file, `GET /api/messages.ndjson` and `.csv`, oldest first.

It is read page by page, each in a query of its own: memory stays constant however much there is, and no
transaction stays open for as long as a slow reader takes.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response

from pipeline.problems import Problem
from pipeline.search.sql import Search
from pipeline.store.reader import Reader, StoredMessage
from viewer.api.models import whole_view
from viewer.api.parameters import SEARCH_PARAMETERS, refuse_unknown, search
from viewer.live.hub import Hub

# A message has up to 1 MiB; so many are in memory at once.
PAGE = 25
Writer = Callable[[Iterable[StoredMessage]], Iterator[str]]
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = (
    "seq",
    "time",
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
)


def export_blueprint(reader: Reader, hub: Hub, *, allowed: bool) -> Blueprint:
    """Return both exports; they answer 403 unless `allowed`."""
    blueprint = Blueprint("export", __name__)

    def answer(kind: str, mimetype: str, write: Writer) -> Response:
        if not allowed:
            raise Problem(403, "export is switched off (EXPORT=off)")
        refuse_unknown(*SEARCH_PARAMETERS)
        wanted, newest = search(), hub.newest_stored()
        name = f"messages-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
        return Response(
            write(_read(reader, wanted, newest)),
            mimetype=mimetype,
            headers={
                "Content-Disposition": f"attachment; filename={name}",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
        )

    @blueprint.get("/api/messages.ndjson")
    def export_ndjson() -> Response:
        return answer("ndjson", "application/x-ndjson", _ndjson)

    @blueprint.get("/api/messages.csv")
    def export_csv() -> Response:
        return answer("csv", "text/csv", _csv)

    return blueprint


def _read(reader: Reader, wanted: Search, newest: int) -> Iterator[StoredMessage]:
    seq = 0
    while page := reader.read(wanted, after=seq, before=newest + 1, limit=PAGE):
        yield from page
        seq = page[-1].seq


def _ndjson(messages: Iterable[StoredMessage]) -> Iterator[str]:
    for message in messages:
        yield json.dumps(whole_view(message), separators=(",", ":")) + "\n"


def _csv(messages: Iterable[StoredMessage]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for message in messages:
        view = whole_view(message)
        view["attributes"] = json.dumps(view["attributes"])
        writer.writerow([_cell(view[name]) for name in CSV_COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    """Return a text that no spreadsheet takes for a formula ("CSV Injection", OWASP)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value

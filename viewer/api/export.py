"""Export: a whole search as a file, `GET /api/messages.ndjson` and `.csv`, oldest first.

It is read piece by piece, each in queries of its own: memory stays constant however much there is, and no
transaction stays open for as long as a slow reader takes.
"""

import csv
import errno
import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from flask import Response, request

from pipeline.problems import Problem
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.search.sql import Search
from pipeline.store.reader import Reader
from pipeline.store.searches import SearchFailed
from viewer.api import examples
from viewer.api.answers import to_json
from viewer.api.blueprint import ApiBlueprint, problems, text
from viewer.api.models import ExportedMessage, SearchQuery
from viewer.api.views import Views
from viewer.formatting import rfc3339
from viewer.live.hub import Hub
from viewer.places import PAGE, find_places

# What is in memory at once: messages of so many bytes together, or one.
PIECE_BYTES = 256 * 1024
MAX_EXPORTS = 8
MAX_EXPORTS_PER_CLIENT = 4
RETRY_SECONDS = 30

log = logging.getLogger(__name__)
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
    "queue",
    "topic",
    "subject",
    "attribute_types",
    "sns_message_id",
    "group_id",
    "deduplication_id",
    "sequence_number",
)


def export_blueprint(reader: Reader, hub: Hub, views: Views, *, allowed: bool) -> ApiBlueprint:
    """Return both exports; they answer 403 unless `allowed`."""
    blueprint = ApiBlueprint("export", __name__, about="A whole search as a file")
    running: Counter[str] = Counter()  # by the client's address

    @blueprint.before_request
    def refuse() -> None:
        if not allowed:
            raise Problem(403, "export is switched off (EXPORT=off)")

    @blueprint.get(
        "/api/messages.ndjson",
        responses={
            **text("application/x-ndjson", "a message in each line", examples.NDJSON),
            **problems(403, 429),
        },
    )
    def export_ndjson(query: SearchQuery) -> Response:
        """Export a search as JSON lines.

        Oldest first, each message with its payload.
        """
        return answer(query.search, "ndjson", "application/x-ndjson", _ndjson)

    @blueprint.get(
        "/api/messages.csv",
        responses={**text("text/csv", "a message in each row", examples.CSV), **problems(403, 429)},
    )
    def export_csv(query: SearchQuery) -> Response:
        """Export a search as CSV.

        Oldest first. A text that a spreadsheet would take for a formula begins with an apostrophe.
        """
        return answer(query.search, "csv", "text/csv", _csv)

    def answer(wanted: Search, kind: str, mimetype: str, write: Writer) -> Response:
        messages = _read(reader, wanted, hub.newest_stored(), views)
        name = f"messages-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
        client = request.remote_addr or ""
        if running[client] >= MAX_EXPORTS_PER_CLIENT or running.total() >= MAX_EXPORTS:
            raise Problem(429, "too many exports are running; try again later", retry_after=RETRY_SECONDS)
        running[client] += 1
        response = Response(
            write(messages),
            mimetype=mimetype,
            headers={
                "Content-Disposition": f"attachment; filename={name}",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
        )
        response.call_on_close(lambda: end(client))
        return response

    def end(client: str) -> None:
        running[client] -= 1
        if not running[client]:
            del running[client]

    return blueprint


def _read(reader: Reader, wanted: Search, newest: int, views: Views) -> Iterator[ExportedMessage]:
    try:
        for seqs in _pieces(find_places(reader, wanted, newest)):
            yield from map(views.exported, reader.read(seqs))
    except (SearchFailed, *DATABASE_ERRORS) as error:
        log.warning("export broken off", extra={"reason": explain(error)})
        # Part of the answer was sent. Closed before its end, it does not look complete.
        raise ConnectionResetError(errno.ECONNRESET, "export broken off") from None


def _pieces(places: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the seqs of messages that are read together."""
    seqs: list[int] = []
    together = 0
    for seq, size in places:
        if seqs and (together + size > PIECE_BYTES or len(seqs) == PAGE):
            yield seqs
            seqs, together = [], 0
        seqs.append(seq)
        together += size
    if seqs:
        yield seqs


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

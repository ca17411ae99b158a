"""The live stream: `GET /api/stream`, server-sent events (WHATWG HTML, "Server-sent events").

The id of each event is the seq of the message. A browser that lost its connection reconnects by itself with
`Last-Event-ID` and is sent what it missed, however long it was away.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterator

from flask import Response, request
from pydantic import Field

from pipeline.problems import Problem
from pipeline.store.reader import Reader, Summary
from pipeline.store.searches import SearchFailed
from viewer.api import examples
from viewer.api.answers import to_json
from viewer.api.blueprint import ApiBlueprint, problems, text
from viewer.api.checks import Parameters
from viewer.api.models import Absent, Cursor, Flag, SearchQuery
from viewer.api.views import Views
from viewer.live.follower import Follower, Gap
from viewer.live.hub import Hub
from viewer.settings import ViewerSettings

RETRY_MILLISECONDS = 1000

Format = Callable[[Summary], bytes]


class StreamQuery(SearchQuery):
    """Which messages, and from where."""

    after: Cursor | Absent = Field(None, description="begin after this seq; without it, with new messages")
    gaps: Flag = Field(False, description="allow gaps (`1` or `true`)")


class StreamHeaders(Parameters):
    """Where a client continues that was disconnected."""

    last_event_id: Cursor | Absent = Field(None, alias="Last-Event-ID", description="used instead of `after`")


def stream_blueprint(reader: Reader, hub: Hub, views: Views, settings: ViewerSettings) -> ApiBlueprint:
    """Return `GET /api/stream`."""
    blueprint = ApiBlueprint("stream", __name__, about="New messages as they are stored")
    open_streams: Counter[str] = Counter()  # by the client's address

    # A thousand readers are sent the same text, made once.
    @functools.lru_cache(maxsize=1024)
    def format_message(message: Summary) -> bytes:
        return _event("message", views.summary(message), message.seq)

    @blueprint.get(
        "/api/stream",
        responses={**text("text/event-stream", "without end", examples.STREAM), **problems(429)},
    )
    def stream(query: StreamQuery, header: StreamHeaders) -> Response:
        """Follow messages as they are stored (server-sent events).

        `ready` says where the stream begins. Each `message` is an entry of the list, its id the seq; a client
        that reconnects with `Last-Event-ID` is sent what it missed, without gap or repeat. With `gaps=1` a
        `gap` event {from, to, count} stands for messages that were skipped because there are more than a
        person can follow. An idle stream sends comments. A search by `status:` finds the status at the time
        of storing; the list finds the present one. A stream whose search costs too much ends with an `error`
        event {title, status, detail}; for a minute it is then refused with 503.
        """
        hub.check(query.search)
        start = _start(header, query, hub)
        client = request.remote_addr or ""
        if open_streams[client] >= settings.max_streams_per_client:
            raise Problem(429, f"{client} has {open_streams[client]} streams open already")

        def events() -> Iterator[bytes]:
            open_streams[client] += 1
            try:
                with hub.following(query.search) as following:
                    follower = Follower(reader, hub, following, gaps=query.gaps)
                    yield from _events(follower, hub, start, format_message)
            except SearchFailed as error:
                hub.refuse(query.search, str(error))
                yield format_error(error)
            finally:
                open_streams[client] -= 1

        return Response(
            events(),
            mimetype="text/event-stream",
            # X-Accel-Buffering: nginx would hold events back otherwise.
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            direct_passthrough=True,
        )

    return blueprint


def _start(header: StreamHeaders, query: StreamQuery, hub: Hub) -> int:
    if header.last_event_id is not None:
        return header.last_event_id
    return hub.newest_stored() if query.after is None else query.after


def _events(follower: Follower, hub: Hub, seq: int, format_message: Format) -> Iterator[bytes]:
    # Sent at once, so that the reader knows that the stream is open, and that nothing in between buffers it.
    yield f"retry: {RETRY_MILLISECONDS}\n".encode() + _event("ready", {"after": seq})
    while not hub.stopping:
        gap, messages, seq = follower.next(seq)
        if messages:
            text = (format_gap(gap) if gap else b"") + b"".join(map(format_message, messages))
            del messages  # a slow reader should not keep them in memory
            yield text
        elif not hub.stopping:
            # A heartbeat keeps proxies from closing an idle stream, and shows this process that the reader is
            # gone. With its id a reader that resumes need not look again through what did not match.
            yield f"id: {seq}\n: heartbeat\n\n".encode()


def format_error(error: SearchFailed) -> bytes:
    """Return why the stream ends as one event: the members of a problem document."""
    return _event("error", {"title": "Service Unavailable", "status": 503, "detail": str(error)})


def format_gap(gap: Gap) -> bytes:
    """Return what was skipped as one event; a reader that resumes after it resumes after the gap."""
    return _event("gap", {"from": gap.start, "to": gap.end, "count": gap.count}, gap.end)


def _event(name: str, data: object, seq: int | None = None) -> bytes:
    """Return one event. JSON without indents has no line breaks, so the data is one line."""
    place = "" if seq is None else f"id: {seq}\n"
    return f"{place}event: {name}\ndata: {to_json(data)}\n\n".encode()

"""The live stream: `GET /api/stream`, server-sent events (WHATWG HTML, "Server-sent events").

The id of each event is the seq of the message. A browser that lost its connection reconnects by itself with
`Last-Event-ID` and is sent what it missed, however long it was away.
"""

import functools
import json
from collections import Counter
from collections.abc import Iterator

from flask import Blueprint, Response, request

from pipeline.problems import Problem
from pipeline.store.reader import Reader, Summary
from viewer.api.models import summary_view
from viewer.api.parameters import SEARCH_PARAMETERS, cursor, flag, refuse_unknown, search
from viewer.live.follower import Follower, Gap
from viewer.live.hub import Hub
from viewer.settings import ViewerSettings

RETRY_MILLISECONDS = 1000


def stream_blueprint(reader: Reader, hub: Hub, settings: ViewerSettings) -> Blueprint:
    """Return `GET /api/stream`."""
    blueprint = Blueprint("stream", __name__)
    open_streams: Counter[str] = Counter()  # by the client's address

    @blueprint.get("/api/stream")
    def stream() -> Response:
        refuse_unknown("after", "gaps", *SEARCH_PARAMETERS)
        start = cursor("Last-Event-ID", request.headers.get("Last-Event-ID"))
        if start is None:
            start = cursor("after", request.args.get("after"))
        if start is None:
            start = hub.newest_stored()
        wanted, gaps = search(), flag("gaps")
        client = request.remote_addr or ""
        if open_streams[client] >= settings.max_streams_per_client:
            raise Problem(429, f"{client} has {open_streams[client]} streams open already")

        def events() -> Iterator[bytes]:
            open_streams[client] += 1
            try:
                with hub.following(wanted) as following:
                    follower = Follower(reader, hub, following, gaps=gaps)
                    yield from _events(follower, hub, start)
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


def _events(follower: Follower, hub: Hub, seq: int) -> Iterator[bytes]:
    # Sent at once, so that the reader knows that the stream is open, and that nothing in between buffers it.
    yield f"retry: {RETRY_MILLISECONDS}\nevent: ready\ndata: {json.dumps({'after': seq})}\n\n".encode()
    wrote = True  # since it was last woken for nothing
    while not hub.stopping:
        gap, messages, seq = follower.next(seq)
        if messages:
            yield (format_gap(gap) if gap else b"") + b"".join(map(format_message, messages))
            wrote = True
        elif wrote:
            wrote = False
        elif not hub.stopping:
            # A heartbeat keeps proxies from closing an idle stream, and tells this process that the reader is
            # gone. With its id a reader that resumes need not look through again what did not match.
            yield f"id: {seq}\n: heartbeat\n\n".encode()
            wrote = True


# A thousand readers are sent the same text, made once.
@functools.lru_cache(maxsize=1024)
def format_message(message: Summary) -> bytes:
    """Return one message as one event; JSON has no line breaks of its own, so the data is one line."""
    return f"id: {message.seq}\nevent: message\ndata: {json.dumps(summary_view(message))}\n\n".encode()


def format_gap(gap: Gap) -> bytes:
    """Return what was passed over as one event; a reader that resumes after it resumes after the gap."""
    data = json.dumps({"from": gap.start, "to": gap.end, "count": gap.count})
    return f"id: {gap.end}\nevent: gap\ndata: {data}\n\n".encode()

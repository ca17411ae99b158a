"""The live stream: `GET /api/stream`, server-sent events (WHATWG HTML, "Server-sent events").

The id of each event is the message's seq. A browser that lost its connection comes back by itself with
`Last-Event-ID` and is given what it missed, however long it was away.
"""

import json
from collections.abc import Iterator

from flask import Blueprint, Response, request

from pipeline.store import Store, Summary
from viewer.parameters import cursor, refuse_unknown
from viewer.tail import Tail
from viewer.views import summary_view

# Keeps proxies from closing an idle stream, and tells this process that the reader is gone.
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 1000


def stream_blueprint(store: Store, tail: Tail, heartbeat_seconds: float) -> Blueprint:
    """Return `GET /api/stream`; without messages it says something every `heartbeat_seconds`."""
    blueprint = Blueprint("stream", __name__)

    @blueprint.get("/api/stream")
    def stream() -> Response:
        refuse_unknown("after")
        start = cursor("Last-Event-ID", request.headers.get("Last-Event-ID"))
        if start is None:
            start = cursor("after", request.args.get("after"))
        if start is None:
            start = store.newest()
        return Response(
            _events(tail, start, heartbeat_seconds),
            mimetype="text/event-stream",
            # X-Accel-Buffering: nginx would hold events back otherwise.
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    return blueprint


def _events(tail: Tail, seq: int, heartbeat_seconds: float) -> Iterator[str]:
    # Sent at once, so that the reader knows the stream is open before the first message.
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    while not tail.stopping:
        messages = tail.after(seq, heartbeat_seconds)
        if messages:
            yield "".join(map(format_event, messages))
            seq = messages[-1].seq
        else:
            yield ": heartbeat\n\n"


def format_event(message: Summary) -> str:
    """Return one message as one event; JSON has no line breaks of its own, so the data is one line."""
    return f"id: {message.seq}\nevent: message\ndata: {json.dumps(summary_view(message))}\n\n"

"""The live stream: `GET /api/stream`, server-sent events (WHATWG HTML, "Server-sent events").

The id of each event is the message's seq. A browser that lost its connection comes back by itself with
`Last-Event-ID` and is given what it missed, however long it was away.

Few messages are sent one by one, as they come; many in one write every tenth of a second, because each write
costs both ends more than the message in it. A reader that asked for `gaps=1` (the page) is spared what no eye
can follow: where there is too much, a `gap` event says which messages were passed over, and how many.
"""

import functools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request

from pipeline.problems import Problem
from pipeline.store import Store, Summary
from viewer.parameters import SEARCH_PARAMETERS, cursor, flag, refuse_unknown, search
from viewer.settings import ViewerSettings
from viewer.tail import Following, Tail
from viewer.views import summary_view

RETRY_MILLISECONDS = 1000

SINGLE_PER_SECOND = 20
BATCH_SECONDS = 0.1
# With gaps: a reader further behind than this, or given more than this in a second, is given the newest only.
MOST_BEHIND = 2000
MOST_PER_SECOND = 500
NEWEST_AFTER_GAP = 50


def stream_blueprint(store: Store, tail: Tail, settings: ViewerSettings) -> Blueprint:
    """Return `GET /api/stream`."""
    blueprint = Blueprint("stream", __name__)
    open_streams: Counter[str] = Counter()  # by the reader's address

    @blueprint.get("/api/stream")
    def stream() -> Response:
        refuse_unknown("after", "gaps", *SEARCH_PARAMETERS)
        start = cursor("Last-Event-ID", request.headers.get("Last-Event-ID"))
        if start is None:
            start = cursor("after", request.args.get("after"))
        if start is None:
            start = tail.newest()
        wanted, gaps = search(), flag("gaps")
        reader = request.remote_addr or ""
        if open_streams[reader] >= settings.max_streams_per_client:
            raise Problem(429, f"{reader} has {open_streams[reader]} streams open already")

        def events() -> Iterator[bytes]:
            open_streams[reader] += 1
            try:
                with tail.following(wanted) as following:
                    follower = Follower(store, tail, following, gaps=gaps)
                    yield from _events(follower, tail, start)
            finally:
                open_streams[reader] -= 1

        return Response(
            events(),
            mimetype="text/event-stream",
            # X-Accel-Buffering: nginx would hold events back otherwise.
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            direct_passthrough=True,
        )

    return blueprint


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that were passed over: `count` of them, from one seq to the other, both included."""

    start: int
    end: int
    count: int


class Follower:
    """Reads for one stream what comes next of a search, and minds its pace."""

    def __init__(self, store: Store, tail: Tail, following: Following, *, gaps: bool) -> None:
        """`gaps` allows passing over what is too much."""
        self._store, self._tail, self._following, self._gaps = store, tail, following, gaps
        self._sent: list[tuple[float, int]] = []  # when, how many: of the last second

    def next(self, seq: int) -> tuple[Gap | None, Sequence[Summary], int]:
        """Return what was passed over, what follows, and up to which seq that is all there is.

        Waits for it, and between writes where there is much; may be woken for nothing, see Tail.
        """
        if self._per_second() > SINGLE_PER_SECOND:
            self._tail.pause(self._sent[-1][0] + BATCH_SECONDS - time.monotonic())
        self._following.wait(seq)
        if self._tail.stopping:
            return None, [], seq
        messages, place = self._following.after(seq)
        gap = None
        if self._gaps and messages:
            gap, messages = self._pass_over(seq, messages)
            place = max(place, messages[-1].seq)
        if messages:
            self._sent.append((time.monotonic(), len(messages)))
        return gap, messages, place

    def _pass_over(self, seq: int, messages: Sequence[Summary]) -> tuple[Gap | None, Sequence[Summary]]:
        too_fast = self._per_second() > MOST_PER_SECOND and len(messages) > NEWEST_AFTER_GAP
        if not too_fast and not self._far_behind(seq):
            return None, messages
        messages = self._store.find(self._following.search, limit=NEWEST_AFTER_GAP)[::-1]
        first = messages[0].seq
        count = self._store.count(self._following.search, after=seq, before=first)
        return (Gap(seq + 1, first - 1, count) if count else None), messages

    def _far_behind(self, seq: int) -> bool:
        at_most = self._following.newest - seq
        return at_most > MOST_BEHIND and self._store.count(self._following.search, after=seq) > MOST_BEHIND

    def _per_second(self) -> int:
        now = time.monotonic()
        while self._sent and self._sent[0][0] < now - 1:
            del self._sent[0]
        return sum(count for _, count in self._sent)


def _events(follower: Follower, tail: Tail, seq: int) -> Iterator[bytes]:
    # Sent at once, so that the reader knows that the stream is open, and that nothing in between buffers it.
    yield f"retry: {RETRY_MILLISECONDS}\nevent: ready\ndata: {json.dumps({'after': seq})}\n\n".encode()
    wrote = True  # since it was last woken for nothing
    while not tail.stopping:
        gap, messages, seq = follower.next(seq)
        if messages:
            yield (format_gap(gap) if gap else b"") + b"".join(map(format_message, messages))
            wrote = True
        elif wrote:
            wrote = False
        elif not tail.stopping:
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

"""Messages: listing, reading, deleting and publishing them under `/api/messages`; and `/latest`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from flask import Response, redirect, request, url_for
from pydantic import ConfigDict, Field
from werkzeug.wrappers import Response as AnyResponse

from pipeline.aws import Topic
from pipeline.problems import Problem
from pipeline.search.sql import Search, copies_of, equal, some_messages
from pipeline.store.dead_letters import FailureReader, WholeDeadLetter
from pipeline.store.reader import NearMiss as StoredNearMiss
from pipeline.store.reader import Reader, StoredMessage, Summary
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, problems, text
from viewer.api.checks import Parameters
from viewer.api.models import (
    DIGITS,
    Absent,
    Accepted,
    CopyLinks,
    Count,
    Cursor,
    Flag,
    MessageDetail,
    MessageSummary,
    NearMiss,
    Original,
    SearchQuery,
    Seq,
    Seqs,
    Status,
    WholeMessage,
)
from viewer.api.near_misses import report
from viewer.api.publish import PublishBody, Published, publish
from viewer.api.views import Views
from viewer.live.hub import Hub
from viewer.live.long_poll import Asked, near_misses, wait_for

MAX_LISTED = 500
MAX_WAIT_SECONDS = 60
MAX_WHOLE_BYTES = 2 * 1024 * 1024  # of the bodies in one answer
MAX_COPIES = 20

Listed = Annotated[int, Field(ge=1, le=MAX_LISTED), DIGITS]


class ListQuery(SearchQuery):
    """Which messages, how many, from where, and whether to wait for them."""

    limit: Listed = Field(50, description="how many at most")
    before: Cursor | Absent = Field(None, description="those stored before this seq")
    after: Cursor | Literal["now"] | Absent = Field(
        None, description="those that follow this cursor directly; `now`: only new ones"
    )
    wait: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS), DIGITS] = Field(
        0, description="seconds to wait for them"
    )
    count: Listed = Field(1, description="how many to wait for")
    include: Literal["data"] | Absent = Field(None, description="`data`: whole messages, with their payload")


class StatusesQuery(SearchQuery):
    """Which messages."""

    after: Cursor | Absent = Field(None, description="those stored after this seq")
    before: Cursor | Absent = Field(None, description="those stored before this seq")


class DeleteQuery(SearchQuery):
    """Which messages."""

    all: Flag = Field(False, description="delete everything (`1` or `true`)")
    seqs: Seqs | Absent = Field(None, description="of these messages, separated by commas")

    @property
    def search(self) -> Search:
        """All of it as one search."""
        found = super().search
        return found if self.seqs is None else found & some_messages(self.seqs)


class MessagePath(Parameters):
    """One message."""

    seq: Annotated[int, Field(ge=0)] = Field(description="its place in the store")


@dataclass(slots=True)
class MessageList:
    """Messages, newest first."""

    messages: list[WholeMessage | MessageSummary]
    cursor: Annotated[Seq, Field(description="`after` it comes what this answer did not look at")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.MESSAGE_LIST})


@dataclass(slots=True)
class IncompleteList(MessageList):
    """Fewer messages than were waited for, and what came closest."""

    near_misses: list[NearMiss]
    report: Annotated[str, Field(description="the same as a text, for the output of a test")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.INCOMPLETE_LIST})


@dataclass(slots=True)
class MessageStatus:
    """What became of a message."""

    seq: Seq
    status: Status
    tries: Count


@dataclass(slots=True)
class Statuses:
    """What became of messages, newest first."""

    from_: Annotated[
        Seq, Field(alias="from", description="from this seq on, what is not listed has no status")
    ]
    statuses: list[MessageStatus]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.STATUSES})


@dataclass(slots=True)
class Deleted:
    """How many messages were deleted."""

    deleted: Count

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"deleted": 12}})


def messages_blueprint(
    reader: Reader, failures: FailureReader, hub: Hub, topic: Topic, views: Views
) -> ApiBlueprint:
    """Return `/api/messages` and what is below it."""
    blueprint = ApiBlueprint(
        "messages", __name__, about="Find, await, read, delete and publish messages", prefix="/api/messages"
    )

    @blueprint.get("")
    def list_messages(query: ListQuery) -> MessageList | IncompleteList:
        """List messages, or wait for them.

        With `wait` the answer is held until at least `count` messages match. When the time runs out,
        `near_misses` tells what came closest, and the first condition that each did not meet; `report` says
        it as a text. With `include=data` the messages are whole; if they are too large together, the answer
        is 400.
        """
        after = hub.newest_stored() if query.after == "now" else query.after
        asked = Asked(query.search, max(query.count, query.limit), query.before, after)
        found = wait_for(reader, hub, asked, query.count, query.wait)
        messages = whole(found.messages) if query.include else [*map(views.summary, found.messages)]
        if not query.wait or len(messages) >= query.count:
            return MessageList(messages, found.cursor)
        misses = explained(near_misses(reader, asked))
        told = report(request.args.get("q", ""), query.count, len(messages), query.wait, misses)
        return IncompleteList(messages, found.cursor, misses, told)

    def whole(found: Sequence[Summary]) -> list[WholeMessage | MessageSummary]:
        size = sum(message.size for message in found)
        if size > MAX_WHOLE_BYTES:
            detail = f"the messages found have more than {MAX_WHOLE_BYTES:,} bytes: lower limit"
            raise Problem(400, detail, parameter="limit")
        return [*map(views.whole, reader.read([message.seq for message in found])[::-1])]

    def explained(misses: Sequence[StoredNearMiss]) -> list[NearMiss]:
        messages = {one.seq: one for one in reader.read([miss.message.seq for miss in misses])}
        found = [(miss.failed, messages.get(miss.message.seq)) for miss in misses]
        return [views.near_miss(failed, message) for failed, message in found if message]

    @blueprint.get("/statuses")
    def list_statuses(query: StatusesQuery) -> Statuses:
        """See what became of messages that were listed before.

        The status of a message can change after it was stored: it may fail in a later handler, become a dead
        letter, or be delivered again.
        """
        found = reader.find(query.search, limit=MAX_LISTED, after=query.after, before=query.before)
        statuses = [MessageStatus(one.seq, one.status, one.tries) for one in found if one.status]
        return Statuses(found[-1].seq if found else 0, statuses)

    @blueprint.delete("")
    def delete_messages(query: DeleteQuery) -> Deleted:
        """Delete what a search finds, or everything.

        For a clean slate between test runs. A search is needed, or `seqs`, or `all=1`.
        """
        wanted = query.search
        if not wanted.conditions and not query.all:
            raise Problem(400, "q or seqs should say what to delete; all=1 deletes everything", parameter="q")
        deleted = reader.delete(wanted)
        hub.forget()
        return Deleted(deleted)

    @blueprint.delete("/<int:seq>", responses=problems(404))
    def delete_message(path: MessagePath) -> Deleted:
        """Delete one message.

        From the store; what is in a queue stays.
        """
        deleted = reader.delete(some_messages([path.seq]))
        if not deleted:
            raise Problem(404, f"there is no message {path.seq}")
        hub.forget()
        return Deleted(deleted)

    @blueprint.get("/<int:seq>", responses=problems(404))
    def read_message(path: MessagePath) -> MessageDetail:
        """Read one message.

        With its payload, every delivery of it, and what became of it if it failed.
        """
        message = stored_message(reader, path.seq)
        links = copy_links(reader, failures, message, views)
        return views.detail(message, failures.deliveries(path.seq), failures.outcomes(path.seq), links)

    @blueprint.get(
        "/<int:seq>/body",
        responses={**text("text/plain", "the body", examples.EVENT_TEXT), **problems(404)},
    )
    def download_body(path: MessagePath) -> Response:
        """Download a message as it was published.

        Always as text, and as a file: no browser opens it as a page.
        """
        body = views.body(stored_message(reader, path.seq))
        name = f"attachment; filename=message-{path.seq}.txt"
        return Response(body, mimetype="text/plain", headers={"Content-Disposition": name})

    @blueprint.post("")
    def publish_message(body: PublishBody) -> Accepted[Published]:
        """Publish a message to the topic.

        A text, whose other members become data too, or a whole CloudEvent. Either may stand as `message`
        beside `attributes`, the SNS message attributes to send with it.
        """
        attributes = json.dumps(body.attributes, ensure_ascii=False, default=str)
        views.refuse_mask({"message": body.message.body, "attributes": attributes})
        return Accepted(publish(topic, body))

    return blueprint


def latest_blueprint(reader: Reader) -> ApiBlueprint:
    """Return `/latest`."""
    blueprint = ApiBlueprint("latest", __name__, about="A link to the newest message")

    @blueprint.get("/latest", responses={302: {"description": "the address of the page"}, **problems(404)})
    def latest(query: SearchQuery) -> AnyResponse:
        """Go to the newest message that a search finds.

        Leads to the page, with the search in its box and the message opened.
        """
        found = reader.find(query.search, limit=1)
        if not found:
            raise Problem(404, "no message matches")
        return redirect(url_for("page", q=request.args.get("q") or None, m=found[0].seq))

    return blueprint


def copy_links(
    reader: Reader, failures: FailureReader, message: StoredMessage | WholeDeadLetter, views: Views
) -> CopyLinks:
    """Return the original of a message if it names one, its newest copies and its conflicts."""
    original = views.copy_of(message)
    copies = reader.find(copies_of(message.source, message.id), limit=MAX_COPIES)
    return CopyLinks(
        copy_of=_original(reader, failures, original) if original else None,
        copies=[copy.seq for copy in copies],
        conflicts=reader.conflicts(message.seq, MAX_COPIES) if isinstance(message, StoredMessage) else [],
    )


def _original(reader: Reader, failures: FailureReader, original: str) -> Original:
    # A source is a URI: it contains no space.
    source, _, id_ = original.partition(" ")
    stored = reader.find(equal("source", source) & equal("id", id_), limit=MAX_COPIES)
    first = min((one.seq for one in stored), default=None)  # rather than a conflict
    dead = failures.find_dead_letter(source, id_)
    return Original(source, id_, seq=first, dead_letter=dead)


def stored_message(reader: Reader, seq: int) -> StoredMessage:
    """Return a whole message. Raises the Problem that says that there is none."""
    message = reader.get(seq)
    if message is None:
        raise Problem(404, f"no message {seq} is stored")
    return message

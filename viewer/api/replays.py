"""Replays: messages published again in order, `/api/replays`."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from pipeline.problems import Problem
from pipeline.store.reader import MAX_SEQ, Reader
from pipeline.store.replays import Replay, Replays, Status, Wanted
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Body, File, Parameters, check
from viewer.api.models import DIGITS, Absent, Accepted, Count, QueueName, SearchQuery, Seq
from viewer.aws.copying import Identity
from viewer.aws.targets import Target, Targets
from viewer.live.hub import Hub
from viewer.replay.replayer import MAX_PER_SECOND, AlreadyRunning, Replayer, check_span
from viewer.replay.sources import ExportedFile, FoundMessages, NotReplayable, Source

MAX_LISTED = 20
MAX_NAME_LENGTH = 256

TopicName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
TOPIC = Field(None, description="name of a topic that all go to; else, each goes to where it came from")
QUEUE = Field(None, description="name of a queue that all go to, instead")
PER_SECOND = Field(None, description="how many at most; null: at their own pace, with the gaps that they had")
IDENTITY = Field(
    None,
    description="`new`: CloudEvents with ids of their own; `same`: exactly as they were. Else `new` for "
    "CloudEvents, `same` for all others",
)


class ReplayBody(Body):
    """What to replay, where to, and how fast."""

    q: str = Field("", description="the search; empty: everything that is stored")
    topic: TopicName | None = TOPIC
    queue: QueueName | None = QUEUE
    per_second: Annotated[int, Field(ge=1, le=MAX_PER_SECOND)] | None = PER_SECOND
    identity: Identity | None = IDENTITY

    model_config = ConfigDict(json_schema_extra={"example": examples.REPLAY_BODY})


class FileQuery(Parameters):
    """Where to, and how fast."""

    topic: TopicName | Absent = TOPIC
    queue: QueueName | Absent = QUEUE
    per_second: Annotated[int, Field(ge=1, le=MAX_PER_SECOND), DIGITS] | Absent = PER_SECOND
    identity: Identity | Absent = IDENTITY


class ExportedLines(File):
    """A file as `GET /api/messages.ndjson` writes it."""

    mimetypes = ["application/x-ndjson"]  # noqa: RUF012 - as the library has it
    example = examples.NDJSON


class ReplayPath(Parameters):
    """One replay."""

    id: Annotated[int, Field(ge=0)] = Field(description="its id")


@dataclass(slots=True)
class Reason:
    """Why some messages were not sent."""

    outcome: Annotated[
        Literal["failed", "skipped"],
        Field(description="failed: SNS or SQS refused it; skipped: there is no exact copy of it"),
    ]
    reason: str
    count: Count
    first: Annotated[Seq, Field(description="the first one: its seq, or its line in the file")]


@dataclass(slots=True)
class ReplayState:
    """A replay, and how far it has come."""

    id: int
    q: Annotated[str | None, Field(description="the search; null: the messages are from a file")]
    topic: Annotated[str | None, Field(description="that all go to")]
    queue: Annotated[str | None, Field(description="that all go to; both null: each to where it came from")]
    per_second: Annotated[int | None, Field(description="null: at their own pace")]
    identity: Identity | None
    status: Annotated[
        Status,
        Field(description="failed: the endpoint did not answer; interrupted: its viewer stopped"),
    ]
    total: Count
    sent: Count
    failed: Count
    skipped: Count
    reasons: list[Reason]
    in_hand: Annotated[
        Seq | None,
        Field(description="the message that is being sent; at the end: that may have been"),
    ]
    reason: Annotated[str | None, Field(description="why it did not come to its end")]
    started_at: datetime
    ended_at: datetime | None

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.REPLAY})


@dataclass(slots=True)
class ReplayList:
    """The last replays, newest first."""

    replays: list[ReplayState]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.REPLAYS})


def replays_blueprint(
    reader: Reader, hub: Hub, replays: Replays, replayer: Replayer, targets: Targets
) -> ApiBlueprint:
    """Return `/api/replays` and what is below it."""
    blueprint = ApiBlueprint(
        "replays", __name__, about="Publish messages again, in order", prefix="/api/replays"
    )
    preparing = threading.Lock()

    @blueprint.get("")
    def list_replays() -> ReplayList:
        """List the last replays.

        Also those of other viewers of this store.
        """
        return ReplayList([*map(_state, replays.newest(MAX_LISTED))])

    @blueprint.post("", responses=problems(409))
    def replay_search(body: ReplayBody) -> Accepted[ReplayState]:
        """Replay what a search finds.

        Each message is published again, oldest first, exactly as a resend does it: to where it came from, or
        all to one topic or queue. What is stored later is not replayed, so no replay feeds itself. At most
        10,000 messages, one replay at a time. This begins it; it goes on without its client.
        """
        wanted = check(SearchQuery, {"q": body.q}).search
        newest = hub.newest_stored()
        return begin(body, body.q, lambda: FoundMessages(reader, wanted, newest), "q")

    @blueprint.post("/file", responses=problems(409))
    def replay_file(query: FileQuery, raw: ExportedLines) -> Accepted[ReplayState]:
        """Replay an exported file.

        As above, with the messages of a file as `GET /api/messages.ndjson` writes it, of at most 8 MiB. What
        was masked when it was exported is skipped.
        """
        content: bytes = raw  # type: ignore[assignment]
        return begin(query, None, lambda: ExportedFile(content), "file")

    @blueprint.get("/<int:id>", responses=problems(404))
    def read_replay(path: ReplayPath) -> ReplayState:
        """See how far a replay has come.

        Or how it ended.
        """
        return _state(found(path.id))

    @blueprint.delete("/<int:id>", responses=problems(404, 409))
    def cancel_replay(path: ReplayPath) -> Accepted[ReplayState]:
        """Cancel a replay.

        What was sent stays sent.
        """
        if not replays.cancel(found(path.id).id):
            raise Problem(409, f"replay {path.id} is not running")
        return Accepted(_state(found(path.id)))

    def found(number: int) -> Replay:
        replay = replays.get(number) if number <= MAX_SEQ else None
        if replay is None:
            raise Problem(404, f"there is no replay {number}")
        return replay

    def begin(
        how: ReplayBody | FileQuery, q: str | None, prepare: Callable[[], Source], parameter: str
    ) -> Accepted[ReplayState]:
        if not preparing.acquire(blocking=False):
            raise Problem(409, "another replay is being prepared: one at a time")
        try:
            target = _target(targets, how)
            source = prepare()
            if how.per_second is None:
                check_span(source)
            wanted = Wanted(len(source.items), q, how.topic, how.queue, how.per_second, how.identity)
            return Accepted(_state(found(replayer.begin(wanted, source, how.identity, target))))
        except NotReplayable as error:
            raise Problem(400, str(error), parameter=parameter) from None
        except AlreadyRunning as error:
            raise Problem(409, str(error)) from None
        finally:
            preparing.release()

    return blueprint


def _target(targets: Targets, how: ReplayBody | FileQuery) -> Target | None:
    if how.topic is not None and how.queue is not None:
        raise Problem(400, "topic and queue cannot be given both", parameter="queue")
    if how.queue is not None:
        return targets.queue(how.queue)
    return None if how.topic is None else targets.topic(how.topic)


def _state(replay: Replay) -> ReplayState:
    values = {name: getattr(replay, name) for name in Replay.__slots__}
    return ReplayState(**{**values, "reasons": [Reason(**one) for one in replay.reasons]})

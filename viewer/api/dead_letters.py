"""Dead letters: `/api/dead-letters` lists them with their reasons, `…/redrive` sends them back."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pipeline.endpoint import is_missing
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store.dead_letters import FailureReader
from pipeline.store.reader import Reader
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Body, Parameters
from viewer.api.messages import copy_links
from viewer.api.models import DIGITS, Absent, Accepted, Count, DeadLetter, DeadLetterDetail, QueueName
from viewer.api.views import Views
from viewer.aws.mover import Redrive
from viewer.aws.redrive import MAX_PER_SECOND, DeadLetterQueues, NoDeadLetterQueue, RedriveRefused

MAX_LISTED = 1000
MAX_CHOSEN = 1000


class ListQuery(Parameters):
    """Which, and how many."""

    status: Literal["dead", "lost"] = Field(
        "dead", description="`dead`: in the dead-letter queue; `lost`: in neither queue any more"
    )
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED), DIGITS] = Field(100, description="how many at most")


class RemovalQuery(Parameters):
    """Which: only the lost ones can be removed."""

    status: Literal["lost"] = Field(description="`lost`")


class DeadLetterPath(Parameters):
    """One dead letter."""

    message_id: str = Field(description="the id that SQS gave it", json_schema_extra={"format": "uuid"})


class DeletionBody(Body):
    """Which dead letters to delete."""

    message_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_CHOSEN)]

    model_config = ConfigDict(
        json_schema_extra={"example": {"message_ids": ["0a4a3bd5-7ac2-4a16-8d6d-2c5a1e0b6b3f"]}}
    )


class RedriveQuery(Parameters):
    """Which dead-letter queue."""

    queue: QueueName | Absent = Field(
        None, description="name of the dead-letter queue; else, that of the queue of the pipeline"
    )


class RedriveBody(Body):
    """Which dead letters to send back: those with these SQS ids, or all of them."""

    message_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_CHOSEN)] | Absent = None
    all: Literal[True] | Absent = None
    per_second: Annotated[int, Field(ge=1, le=MAX_PER_SECOND)] | None = Field(
        None, description="how many at most; null: as fast as possible"
    )
    to: QueueName | None = Field(None, description="name of another queue; null: back to their own")

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"all": True, "per_second": 10},
            "oneOf": [{"required": ["message_ids"]}, {"required": ["all"]}],
        }
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.message_ids is None) == (self.all is None):
            raise ValueError('the body should be {"message_ids": ["…"]} or {"all": true}')
        return self


@dataclass(slots=True)
class DeadLetters:
    """Dead letters, the one that died last first; or lost ones, the one noticed last first."""

    dead_letters: list[DeadLetter]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.DEAD_LETTERS})


@dataclass(slots=True)
class Removed:
    """What was removed."""

    removed: Annotated[Count, Field(description="how many lost messages")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"removed": 61}})


@dataclass(slots=True)
class DeadLettersDeleted:
    """What was deleted."""

    deleted: Annotated[Count, Field(description="how many messages")]
    not_found: Annotated[
        Count, Field(description="how many were not in the dead-letter queue, or were hidden by a receiver")
    ]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"deleted": 2, "not_found": 0}})


@dataclass(slots=True)
class RedriveProgress:
    """The redrive that is running, or the last one."""

    redrive: Annotated[Redrive | None, Field(description="null: none is known")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"redrive": examples.REDRIVE}})


@dataclass(slots=True)
class RedriveState:
    """The redrive that is running, or the last one, and what it could move."""

    from_: Annotated[str, Field(alias="from", description="the dead-letter queue")]
    to: Annotated[str | None, Field(description="the queue; null: each to the one that it died in")]
    queues: Annotated[list[str], Field(description="the queues that its messages may belong to")]
    waiting: Annotated[Count, Field(description="about how many messages are in the dead-letter queue")]
    redrive: Annotated[Redrive | None, Field(description="null: none is known")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.REDRIVE_STATE})


def dead_letters_blueprint(
    reader: Reader, failures: FailureReader, queues: DeadLetterQueues, views: Views
) -> ApiBlueprint:
    """Return `/api/dead-letters` and what is below it."""
    blueprint = ApiBlueprint(
        "dead_letters",
        __name__,
        about="Messages that used up all delivery attempts",
        prefix="/api/dead-letters",
    )

    @blueprint.get("")
    def list_dead_letters(query: ListQuery) -> DeadLetters:
        """List dead letters.

        Each with the error of its last attempt. They are dead while they lie in the dead-letter queue. What
        vanished from both queues, for example with an emulator that restarted, is lost: it stays listed under
        `status=lost` until it is removed.
        """
        found = failures.dead_letters(query.limit) if query.status == "dead" else failures.lost(query.limit)
        return DeadLetters([views.dead_letter(letter) for letter in found])

    @blueprint.delete("")
    def remove_lost(query: RemovalQuery) -> Removed:  # noqa: ARG001 - it is required
        """Remove all lost messages from the list.

        What is in a queue stays.
        """
        return Removed(failures.forget_lost())

    @blueprint.delete("/<message_id>", responses=problems(404, 409))
    def remove_lost_letter(path: DeadLetterPath) -> Removed:
        """Remove one lost message from the list.

        A dead letter is refused: it is in the dead-letter queue.
        """
        removed = failures.forget_lost(path.message_id)
        if not removed and failures.dead_letter(path.message_id):
            raise Problem(
                409, f"{path.message_id} is in the dead-letter queue: only lost messages can be removed"
            )
        if not removed:
            raise Problem(404, f"no lost message has the SQS id {path.message_id}")
        return Removed(removed)

    @blueprint.get("/<message_id>", responses=problems(404))
    def read_dead_letter(path: DeadLetterPath) -> DeadLetterDetail:
        """Read one dead letter, or a lost one.

        With its body, its attributes and its copies.
        """
        letter = failures.dead_letter(path.message_id)
        if letter is None:
            raise Problem(404, f"no dead letter has the SQS id {path.message_id}")
        return views.dead_letter_detail(letter, copy_links(reader, failures, letter, views))

    @blueprint.post("/deletion", responses=problems(409))
    def delete_dead_letters(body: DeletionBody) -> DeadLettersDeleted:
        """Delete dead letters.

        For good: they are received from the dead-letter queue and deleted, and what is known of them too.
        """
        chosen = set(body.message_ids)
        with _answering("delete"):
            deleted = queues.own.delete(chosen)
        return DeadLettersDeleted(deleted, len(chosen) - deleted)

    @blueprint.get("/redrive", responses=problems(409))
    def watch_redrive(query: RedriveQuery) -> RedriveState:
        """See how far the redrive has got.

        The one that is running, or the last one.
        """
        with _answering():
            state = queues.named(query.queue).state()
        belongs = list(state.way.queues)
        only = belongs[0] if len(belongs) == 1 else None
        return RedriveState(state.way.name, only, belongs, state.waiting, state.redrive)

    @blueprint.post("/redrive", responses=problems(409))
    def redrive(query: RedriveQuery, body: RedriveBody) -> Accepted[RedriveProgress]:
        """Send dead letters back to the queue.

        This begins it; `GET` tells how far it has got. One redrive of a dead-letter queue runs at a time.
        Those of another queue than the pipeline's are chosen with its name, which confirms it. Each goes back
        to the queue that it died in, or all to another one.
        """
        with _answering():
            queues.make_room()
            found = queues.named(query.queue)
            return Accepted(RedriveProgress(found.redrive(body.message_ids, body.per_second, body.to)))

    @blueprint.delete("/redrive", responses=problems(409))
    def cancel_redrive(query: RedriveQuery) -> Accepted[RedriveProgress]:
        """Cancel the redrive.

        What was moved stays moved.
        """
        with _answering():
            return Accepted(RedriveProgress(queues.named(query.queue).cancel()))

    return blueprint


@contextlib.contextmanager
def _answering(what: str = "redrive") -> Iterator[None]:
    """Turn what the queue raises into answers."""
    try:
        yield
    except (NoDeadLetterQueue, RedriveRefused) as error:
        raise Problem(409, str(error)) from None
    except AWS_ERRORS as error:
        if is_missing(error):
            raise Problem(409, f"the queue does not exist: {explain(error)}") from None
        raise Problem(503, f"SQS does not {what} now: {explain(error)}") from None

"""Waiting: what is in a queue now, and purging it: `/api/waiting`."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from botocore.exceptions import ClientError
from pydantic import ConfigDict, Field

from pipeline.endpoint import is_missing
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.timely import NoAnswer, Timely
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Parameters
from viewer.api.models import Absent, Count, QueueName, WaitingMessage
from viewer.api.status import DEADLINE_SECONDS, FRESH_SECONDS
from viewer.api.views import Views
from viewer.aws.fetching import FetchError
from viewer.aws.queue_inspection import CannotLook, Depth, Queues

# Queues that were looked into last.
MAX_KNOWN = 100


class LookQuery(Parameters):
    """Which queue."""

    queue: QueueName | Absent = Field(None, description="its name; else, the queue of the pipeline")


class PurgeQuery(Parameters):
    """Which queue."""

    queue: QueueName = Field(description="its name")


@dataclass(slots=True)
class WaitingMessages:
    """What is in a queue, oldest first."""

    queue: Depth
    messages: Annotated[list[WaitingMessage] | None, Field(description="null: they cannot be seen")]
    reason: Annotated[str | None, Field(description="why they cannot be seen")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.WAITING_MESSAGES})


@dataclass(slots=True)
class Purged:
    """Which queue was purged. SQS may take a minute to delete the messages."""

    queue: str
    messages: Annotated[Count, Field(description="about how many it held")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.PURGED})


def waiting_blueprint(queues: Queues, views: Views) -> ApiBlueprint:
    """Return `/api/waiting`."""
    blueprint = ApiBlueprint("waiting", __name__, about="What is in a queue", prefix="/api/waiting")

    @functools.lru_cache(MAX_KNOWN)
    def looked_at(name: str) -> Timely[WaitingMessages]:
        return Timely(lambda: _look(queues, name, views), FRESH_SECONDS, DEADLINE_SECONDS)

    @blueprint.get("", responses=problems(404))
    def list_waiting(query: LookQuery) -> WaitingMessages:
        """See what is in a queue, without receiving it.

        Emulators show the messages; AWS only tells how many there are.
        """
        name = query.queue or queues.name
        with _refusals(name):
            return looked_at(name)()

    @blueprint.delete("", responses=problems(404))
    def purge_queue(query: PurgeQuery) -> Purged:
        """Purge a queue.

        Deletes all messages in it for good. Its name confirms it.
        """
        with _refusals(query.queue):
            depth = queues.depth(query.queue)
            queues.purge(query.queue)
        return Purged(query.queue, depth.total)

    return blueprint


@contextlib.contextmanager
def _refusals(queue: str) -> Iterator[None]:
    """Turn what SQS answers, or that it does not, into the Problem that says so."""
    try:
        yield
    except NoAnswer as error:
        raise Problem(503, f"SQS does not answer: {error}") from None
    except ClientError as error:
        if is_missing(error):
            raise Problem(404, f"there is no queue {queue}") from None
        raise Problem(503, f"SQS refuses: {explain(error)}") from None
    except AWS_ERRORS as error:
        raise Problem(503, f"SQS does not answer: {explain(error)}") from None


def _look(queues: Queues, name: str, views: Views) -> WaitingMessages:
    queue = queues.depth(name)
    try:
        found = queues.look(queue)
    except (CannotLook, FetchError) as error:
        return WaitingMessages(queue, None, explain(error))
    return WaitingMessages(queue, [views.waiting(message) for message in found], None)

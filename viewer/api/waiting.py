"""Waiting: what is in the queue now, and purging it: `/api/waiting`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.timely import NoAnswer, Timely
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint
from viewer.api.checks import Parameters
from viewer.api.models import Count, WaitingMessage
from viewer.api.status import DEADLINE_SECONDS, FRESH_SECONDS
from viewer.api.views import Views
from viewer.aws.fetching import FetchError
from viewer.aws.queue_inspection import CannotLook, Depth, Queues


class PurgeQuery(Parameters):
    """Which queue."""

    queue: str = Field(description="its name: of the queue, or of its dead-letter queue")


@dataclass(slots=True)
class WaitingMessages:
    """What is in the queue, oldest first."""

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
    blueprint = ApiBlueprint("waiting", __name__, about="What is in the queue", prefix="/api/waiting")
    looked_at = Timely(lambda: _look(queues, views), FRESH_SECONDS, DEADLINE_SECONDS)

    @blueprint.get("")
    def list_waiting() -> WaitingMessages:
        """See what is in the queue, without receiving it.

        Emulators show the messages; AWS only tells how many there are.
        """
        try:
            return looked_at()
        except AWS_ERRORS as error:
            raise Problem(503, f"SQS does not answer: {explain(error)}") from None
        except NoAnswer as error:
            raise Problem(503, f"SQS does not answer: {error}") from None

    @blueprint.delete("")
    def purge_queue(query: PurgeQuery) -> Purged:
        """Purge a queue.

        Deletes all messages in the queue, or in its dead-letter queue, for good. Its name confirms it.
        """
        try:
            found = next((one for one in queues.depths() if one and one.name == query.queue), None)
            if not found:
                wrong = f"{query.queue} is not the queue or its dead-letter queue"
                raise Problem(400, wrong, parameter="queue")
            queues.purge(found.name)
        except AWS_ERRORS as error:
            raise Problem(503, f"SQS does not answer: {explain(error)}") from None
        return Purged(found.name, found.total)

    return blueprint


def _look(queues: Queues, views: Views) -> WaitingMessages:
    queue, _ = queues.depths()
    try:
        found = queues.look(queue)
    except (CannotLook, FetchError) as error:
        return WaitingMessages(queue, None, explain(error))
    return WaitingMessages(queue, [views.waiting(message) for message in found], None)

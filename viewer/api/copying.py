"""Copies of stored messages: `POST /api/messages/SEQ/copies`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from pipeline.problems import Problem
from pipeline.store.reader import Reader
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Parameters
from viewer.api.messages import MessagePath, stored_message
from viewer.api.models import Absent, Accepted
from viewer.aws.copying import CannotCopy, Copier, Identity, original_of


class CopyQuery(Parameters):
    """What the copy is to be."""

    identity: Identity | Absent = Field(
        None,
        description="`new`: a CloudEvent with an id of its own; `same`: exactly as it was. Else `new` for "
        "CloudEvents, `same` for all others",
    )


@dataclass(slots=True)
class PublishedCopy:
    """A copy that SNS took."""

    id: Annotated[str | None, Field(description="null: SNS or SQS gives it one")]
    source: Annotated[str | None, Field(description="null: that of its topic or queue")]
    identity: Annotated[Identity, Field(description="new: a CloudEvent with an id of its own; same: exactly")]
    topic: str
    message_id: Annotated[str, Field(description="the id that SNS gave it")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.PUBLISHED_COPY})


def copying_blueprint(reader: Reader, copier: Copier) -> ApiBlueprint:
    """Return `/api/messages/SEQ/copies`."""
    blueprint = ApiBlueprint("copying", __name__, about="Publish a message again", prefix="/api/messages")

    @blueprint.post("/<int:seq>/copies", responses=problems(404, 409))
    def resend_message(path: MessagePath, query: CopyQuery) -> Accepted[PublishedCopy]:
        """Publish a copy of a message.

        The same body, with the same attributes, their types and the subject, to the topic that the message is
        from. A CloudEvent gets an id and a time of its own and names its original, unless `identity` is
        `same`: then it is the same message, and consumers take it as another delivery. Values that REDACT
        masks are published as they were.
        """
        message = original_of(stored_message(reader, path.seq))
        try:
            sent = copier.publish(message, query.identity)
        except CannotCopy as error:
            raise Problem(409, f"message {path.seq} cannot be copied: {error}") from None
        return Accepted(PublishedCopy(sent.id, sent.source, sent.identity, sent.to, sent.message_id))

    return blueprint

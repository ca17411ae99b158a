"""Publishing a body exactly as it is: `POST /api/messages/exact`."""

import json

from pipeline.json_text import read_json
from pipeline.message import COPY_OF, attribute_text
from pipeline.problems import Problem
from pipeline.store.copies import Copies
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.models import Accepted
from viewer.api.publish import ExactBody, PublishedExactly
from viewer.api.views import Views
from viewer.aws.copying import linked
from viewer.aws.targets import Target, Targets, refusals


def exact_blueprint(targets: Targets, copies: Copies, views: Views) -> ApiBlueprint:
    """Return `/api/messages/exact`."""
    blueprint = ApiBlueprint("exact", __name__, about="Publish a body as it is", prefix="/api/messages/exact")

    @blueprint.post("", responses=problems(409))
    def publish_exact(body: ExactBody) -> Accepted[PublishedExactly]:
        """Publish a body exactly as it is.

        Nothing is added to it: no envelope, and no attributes but those given. To a topic, else to a queue.
        With `copy_of` it links to the message that it was edited from, which it need not name.
        """
        texts = {name: attribute_text(value) for name, value in body.attributes.items()}
        shown = json.dumps(texts, ensure_ascii=False)
        views.refuse_mask({"body": body.body, "attributes": shown, "subject": body.subject})
        to = _target(targets, body)
        with (
            linked(copies, body.body, texts, _original(body)),
            refusals("SNS" if body.queue is None else "SQS"),
        ):
            message_id = to.publish_exact(
                body.body, body.attributes, body.subject, body.group_id, body.deduplication_id
            )
        return Accepted(PublishedExactly(message_id))

    return blueprint


def _target(targets: Targets, body: ExactBody) -> Target:
    if body.queue is not None:
        return targets.queue(body.queue, body.delay_seconds)
    topic = targets.own_topic if body.topic is None else targets.topic(body.topic)
    if body.deduplication_id is not None and not topic.is_fifo:
        detail = f"deduplication_id is for FIFO topics, and {topic.name} is none"
        raise Problem(400, detail, parameter="deduplication_id")
    return topic


def _original(body: ExactBody) -> str | None:
    """Return which message this is a copy of, unless it says so itself."""
    document = read_json(body.body)
    names_original = isinstance(document, dict) and COPY_OF in document
    return None if names_original else body.copy_of

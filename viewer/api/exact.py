"""Publishing a body exactly as it is: `POST /api/messages/exact`."""

import json

from pipeline.aws import Topic
from pipeline.json_text import read_json
from pipeline.message import COPY_OF, attribute_text
from pipeline.store.copies import Copies
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.copying import linked, named_topic
from viewer.api.models import Accepted
from viewer.api.publish import ExactBody, PublishedExactly, refusals
from viewer.api.views import Views


def exact_blueprint(topic: Topic, copies: Copies, views: Views) -> ApiBlueprint:
    """Return `/api/messages/exact`."""
    blueprint = ApiBlueprint("exact", __name__, about="Publish a body as it is", prefix="/api/messages/exact")

    @blueprint.post("", responses=problems(409))
    def publish_exact(body: ExactBody) -> Accepted[PublishedExactly]:
        """Publish a body exactly as it is.

        Nothing is added to it: no envelope, and no attributes but those given. With `copy_of` it links to the
        message that it was edited from, which it need not name.
        """
        texts = {name: attribute_text(value) for name, value in body.attributes.items()}
        shown = json.dumps(texts, ensure_ascii=False)
        views.refuse_mask({"body": body.body, "attributes": shown, "subject": body.subject})
        to = topic if body.topic is None else named_topic(topic, body.topic)
        with linked(copies, body.body, texts, _original(body)), refusals():
            message_id = to.publish_exact(body.body, body.attributes, body.subject, body.group_id)
        return Accepted(PublishedExactly(message_id))

    return blueprint


def _original(body: ExactBody) -> str | None:
    """Return which message this is a copy of, unless it says so itself."""
    document = read_json(body.body)
    names_original = isinstance(document, dict) and COPY_OF in document
    return None if names_original else body.copy_of

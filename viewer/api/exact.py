"""Publishing a body exactly as it is: `POST /api/messages/exact`."""

from pipeline.aws import Topic
from viewer.api.blueprint import ApiBlueprint
from viewer.api.models import Accepted
from viewer.api.publish import ExactBody, PublishedExactly, publish_exactly


def exact_blueprint(topic: Topic) -> ApiBlueprint:
    """Return `/api/messages/exact`."""
    blueprint = ApiBlueprint("exact", __name__, about="Publish a body as it is", prefix="/api/messages/exact")

    @blueprint.post("")
    def publish_exact(body: ExactBody) -> Accepted[PublishedExactly]:
        """Publish a body exactly as it is.

        Nothing is added to it: no envelope, and no attributes but those given.
        """
        return Accepted(publish_exactly(topic, body))

    return blueprint

"""The topology: what exists on the endpoint, and where a message goes."""

import contextlib
import time
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from flask import Response
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from pipeline.message import ORIGINAL_ID
from pipeline.problems import Problem
from pipeline.redaction import MASK, Mask
from pipeline.retry import DATABASE_ERRORS
from pipeline.store.reader import Reader
from pipeline.store.taps import Taps
from pipeline.store.topics import Flow, TopicFlows
from pipeline.timely import NoAnswer, Timely
from viewer.api import examples
from viewer.api.answers import to_json
from viewer.api.blueprint import ApiBlueprint, Responses, problems
from viewer.api.checks import Body, Parameters
from viewer.api.publish import NotEmpty
from viewer.api.topology_models import Destinations, Endpoint, EndpointTopology
from viewer.api.topology_views import TopologyViews
from viewer.aws.destinations import verdicts
from viewer.aws.filter_policy import MessageFields
from viewer.aws.topology import Topology
from viewer.aws.topology_keeper import TopologyKeeper

# How old the rates of topics may be, and how long the store may take to tell them.
FRESH_SECONDS, DEADLINE_SECONDS = 2.0, 1.0
MIN_REST = 20  # times as long as it takes to write many topics as JSON
# SNS accepts 256 KiB, and ten attributes reach a queue; a draft may have more of both.
MAX_ATTRIBUTES = 100
STRING = "String"


class StoredPath(Parameters):
    """One message."""

    seq: Annotated[int, Field(ge=0)] = Field(description="its place in the store")


def _attributes(given: Any) -> dict[str, tuple[str, str]]:
    if not isinstance(given, dict) or len(given) > MAX_ATTRIBUTES:
        raise ValueError(f"attributes should be an object of at most {MAX_ATTRIBUTES}")
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return STRING, value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "Number", str(value)
    if isinstance(value, dict) and value.keys() == {"type", "value"}:
        kind, text = value["type"], value["value"]
        if isinstance(kind, str) and isinstance(text, str):
            return kind, text
    raise ValueError(f'{name[:100]} should be a text, a number, or {{"type": "String.Array", "value": "[]"}}')


class Draft(Body):
    """A message that is not published yet."""

    topic: NotEmpty = Field(description="name or ARN of the topic")
    body: str = Field(description="what would be published")
    attributes: Annotated[
        dict[str, tuple[str, str]],
        BeforeValidator(_attributes),
        WithJsonSchema(
            {
                "type": "object",
                "maxProperties": MAX_ATTRIBUTES,
                "additionalProperties": {
                    "anyOf": [
                        {"type": "string"},
                        {"type": "number"},
                        {
                            "type": "object",
                            "required": ["type", "value"],
                            "properties": {"type": {"type": "string"}, "value": {"type": "string"}},
                            "additionalProperties": False,
                        },
                    ]
                },
            }
        ),
    ] = Field({}, description="by their names: texts, numbers, or type and value")

    model_config = ConfigDict(json_schema_extra={"example": examples.DRAFT})


TOPOLOGY: Responses = {200: EndpointTopology}
NOW = "by the filter policies as they are now"
AS_NOW = f"{NOW}, not as they were when the message was published"
WITHOUT_TYPES = f"{AS_NOW}; the types of its attributes are not known and taken to be String"


def topology_blueprint(
    keeper: TopologyKeeper, reader: Reader, flows: TopicFlows, taps: Taps, mask: Mask
) -> ApiBlueprint:
    """Return `/api/topology`, and where messages go."""
    blueprint = ApiBlueprint("topology", __name__, about="What exists on the endpoint", prefix="/api")
    answers = _Answers(keeper, flows, taps, mask)

    @blueprint.get("/topology", responses=TOPOLOGY)
    def read_topology() -> Response:
        """See topics, subscriptions and queues.

        As they were read last, which is some seconds ago, and on AWS some minutes. What the endpoint does
        not tell is among `gaps`.
        """
        return answers.topology()

    @blueprint.get("/messages/<int:seq>/destinations", responses=problems(404))
    def read_destinations(path: StoredPath) -> Destinations:
        """See where a message went.

        Each subscription of its topic, whether it takes the message, and if not, the first condition of its
        filter policy that fails. By the filter policies as they are now.
        """
        found = reader.read([path.seq])
        if not found:
            raise Problem(404, f"there is no message {path.seq}")
        [message] = found
        types: Mapping[str, str] = message.attribute_types or {}
        attributes = {
            name: (types.get(name, STRING), text)
            for name, text in message.attributes.items()
            if name != ORIGINAL_ID  # which a redrive added
        }
        is_typed = message.attribute_types is not None or not attributes
        return answers.destinations(
            message.topic,
            message.topic_arn,
            MessageFields(message.body, attributes),
            AS_NOW if is_typed else WITHOUT_TYPES,
        )

    @blueprint.post("/destinations")
    def preview_destinations(body: Draft) -> Destinations:
        """See where a message would go.

        As above, for a message that is not published yet. Nothing is published.
        """
        if mask.is_in(body.body) or any(mask.is_in(text) for _, text in body.attributes.values()):
            raise Problem(400, f"{MASK} stands for a value that REDACT masks, which is not known here")
        message = MessageFields(body.body, body.attributes)
        return answers.destinations(body.topic, body.topic, message, NOW)

    return blueprint


class _Answers:
    """Answers with what is kept. It is written as JSON for all readers together, and not too often."""

    def __init__(self, keeper: TopologyKeeper, flows: TopicFlows, taps: Taps, mask: Mask) -> None:
        self._keeper, self._mask = keeper, mask
        self._taps = Timely(taps.queues, FRESH_SECONDS, DEADLINE_SECONDS)
        self._known_taps: Collection[str] = ()
        self._flows = Timely(
            lambda: flows.read([topic.listed.name for topic in keeper.current.topics]),
            FRESH_SECONDS,
            DEADLINE_SECONDS,
        )
        self._written: tuple[Topology, str] | None = None
        self._write_again_at = 0.0

    def topology(self) -> Response:
        picture, written = self._keeper.current, self._written
        if written is None or written[0] is not picture or time.monotonic() >= self._write_again_at:
            flows = self._read_flows()
            began = time.monotonic()
            written = self._written = picture, self._write(picture, flows)
            took = time.monotonic() - began
            self._write_again_at = began + max(FRESH_SECONDS, took * MIN_REST)
        return Response(written[1], mimetype="application/json")

    def _read_flows(self) -> Mapping[str, Flow] | None:
        """Return what flows through topics, None while the store does not say."""
        try:
            return self._flows()
        except (NoAnswer, *DATABASE_ERRORS):
            return None

    def _views(self) -> TopologyViews:
        with contextlib.suppress(NoAnswer, *DATABASE_ERRORS):
            self._known_taps = self._taps()
        return TopologyViews(self._mask, self._known_taps)

    def _write(self, picture: Topology, flows: Mapping[str, Flow] | None) -> str:
        keeper = self._keeper
        endpoint = Endpoint(keeper.endpoint_url, keeper.region, keeper.is_aws)
        return to_json(self._views().topology(endpoint, picture, keeper.slot_seconds, flows))

    def destinations(
        self, topic: str | None, arn: str | None, message: MessageFields, note: str
    ) -> Destinations:
        picture = self._keeper.current
        found = picture.topic(arn or topic or "")
        if found is None:
            return Destinations(topic, picture.read_at, [], _why_unknown(topic, picture), note)
        self._keeper.hurry(found)
        shown = self._views().destinations(verdicts(found, picture, message), message)
        return Destinations(found.listed.name, picture.read_at, shown, None, note)


def _why_unknown(topic: str | None, picture: Topology) -> str:
    if topic is None:
        return "it is not known to which topic it was published"
    if picture.read_at is None:
        reasons = "; ".join(gap.reason for gap in picture.gaps)
        return f"the topics of the endpoint are not known: {reasons or 'they are being read'}"
    return f"there is no topic {topic} on this endpoint"

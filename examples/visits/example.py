"""What `make example NAME=visits` starts beside the pipeline."""

from examples.visits.views import TOPIC, VIEW
from local.applications import Example, Part, Queue

COUNTER = Queue("visits-counter", TOPIC, filter_policy={"type": [VIEW]})
HANDLER = "store,examples.visits.handler:VisitCounter"

EXAMPLE = Example(
    name="visits",
    queues=[COUNTER],
    parts=[
        Part("visits-web-a", "examples.visits", {"TOPIC_NAME": TOPIC}, title="Visit a page"),
        Part("visits-web-b", "examples.visits", {"TOPIC_NAME": TOPIC}, title="A second replica"),
        Part("visits-consumer", "consumer", {**COUNTER.environment, "HANDLER": HANDLER, "WATCH": ""}),
    ],
)

"""A producer's publisher inside the test's process, on a topic that fails as it is told."""

import threading
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import EndpointConnectionError

from pipeline.aws import NO_ATTRIBUTES, Topic
from pipeline.message import Message
from producer.publish import Publisher


class TopicStandIn(Topic):
    """Fails as no emulator does on demand: what it is told to refuse or to break, it does once."""

    def __init__(self, name: str = "topic", *, refuse: Sequence[int] = (), broken_calls: int = 0) -> None:
        self.name = name
        self.calls: list[list[Message]] = []
        self.accepted: list[Message] = []
        self._refuse = set(refuse)
        self._broken_calls = broken_calls

    def publish(
        self,
        messages: Sequence[Message],
        attributes: Any = NO_ATTRIBUTES,  # noqa: ARG002 - the producer sends none
    ) -> list[tuple[Message, str]]:
        self.calls.append(list(messages))
        if len(self.calls) <= self._broken_calls:
            raise EndpointConnectionError(endpoint_url="http://away")
        refused = [message for message in messages if message.sequence in self._refuse]
        self._refuse.clear()
        self.accepted += [message for message in messages if message not in refused]
        return [(message, "Throttled") for message in refused]


def publisher(topic: Topic, stop: threading.Event | None = None) -> Publisher:
    return Publisher(topic, stop or threading.Event(), beat=lambda: None)

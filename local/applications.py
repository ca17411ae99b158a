"""What an example declares, so that `make example` can start it: its queues and its services."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Queue:
    """A queue with its dead-letter queue, subscribed to a topic; both are created.

    With a filter policy, the queue gets only the messages that match it.
    """

    name: str
    topic: str
    filter_policy: Mapping[str, Any] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which localstack-init creates it, and a consumer reads it."""
        policy = json.dumps(self.filter_policy) if self.filter_policy else ""
        return {"TOPIC_NAME": self.topic, "QUEUE_NAME": self.name, "FILTER_POLICY": policy}


@dataclass(frozen=True)
class Part:
    """A service of an example: the module that is run, and its variables.

    A part with a `title` has a page, the address of which is printed under it.
    """

    name: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Example:
    """A whole application on the pipeline."""

    name: str
    queues: Sequence[Queue]
    parts: Sequence[Part]

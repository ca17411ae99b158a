"""What the API shows of the topology, and of where a message goes. Made by TopologyViews only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from viewer.api import examples
from viewer.api.models import Count
from viewer.aws.filter_policy import Scope
from viewer.aws.topology import QueueState

State: TypeAlias = Literal["confirmed", "pending", "deleted"]
ReadAt = Annotated[datetime | None, Field(description="when its attributes were read; null: not yet")]
QueueArn = Annotated[str | None, Field(description="ARN of the dead-letter queue")]
Policy = Annotated[
    Any, Field(description="the filter policy; a text if it is not a JSON object, null if there is none")
]
Reading = Annotated[datetime | None, Field(description="when everything was listed; null: not yet")]


@dataclass(slots=True)
class Endpoint:
    """The account and region of AWS, or the emulator, that is shown."""

    url: str
    region: str
    aws: Annotated[bool, Field(description="whether it is AWS itself")]


@dataclass(slots=True)
class TopologyGap:
    """What the endpoint does not tell: an action of AWS that failed, and why."""

    action: str
    reason: str


@dataclass(slots=True)
class TopicSubscription:
    """A subscription of a topic."""

    arn: Annotated[str | None, Field(description="null until it is confirmed")]
    protocol: str
    endpoint: Annotated[str, Field(description="ARN or address that it delivers to")]
    own: Annotated[bool, Field(description="whether that is a queue of Fanout's own, the tap")]
    state: State
    raw: Annotated[bool | None, Field(description="whether it delivers without an envelope; null: unknown")]
    filter_policy: Policy
    filter_scope: Scope | None
    filter_problem: Annotated[str | None, Field(description="why the filter policy cannot be evaluated")]
    dead_letter_queue: QueueArn
    read_at: ReadAt


@dataclass(slots=True)
class LastMessage:
    """The message of a topic that was stored last."""

    seq: int
    time: datetime


@dataclass(slots=True)
class TopologyTopic:
    """A topic with its subscriptions, and what Fanout saw of it."""

    name: str
    arn: str
    fifo: bool
    subscriptions: list[TopicSubscription]
    last_minute: Annotated[
        Count | None, Field(description="how many messages were stored in the last minute; null: unknown")
    ]
    last_message: Annotated[LastMessage | None, Field(description="null: unknown, or none is stored")]


@dataclass(slots=True)
class TopologyQueue:
    """A queue, with about how many messages it holds; null: unknown."""

    name: str
    arn: str
    fifo: bool
    state: Annotated[
        QueueState,
        Field(description="unread: not known yet; missing: there is none; elsewhere: not of this endpoint"),
    ]
    visible: Count | None
    in_flight: Count | None
    delayed: Count | None
    dead_letter_queue: QueueArn
    max_receive_count: Annotated[int | None, Field(description="deliveries before a message is dead")]
    oldest_sent_at: Annotated[
        datetime | None,
        Field(
            description="when its oldest message was sent; null: it has none, or the endpoint does not say"
        ),
    ]
    depths: Annotated[
        list[Count],
        Field(
            description="how many messages it held while it was watched, at most in each `slot_seconds`, "
            "the newest last; empty: their number did not change"
        ),
    ]
    read_at: ReadAt


@dataclass(slots=True)
class EndpointTopology:
    """What exists on the endpoint, as it was read last."""

    endpoint: Endpoint
    read_at: Reading
    slot_seconds: Annotated[float, Field(description="how long each slot of `depths` is")]
    topics: list[TopologyTopic]
    queues: list[TopologyQueue]
    gaps: list[TopologyGap]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.TOPOLOGY})


@dataclass(slots=True)
class Destination:
    """A subscription, and whether it takes the message."""

    subscription: TopicSubscription
    taken: Annotated[bool | None, Field(description="null: unknown")]
    reason: Annotated[
        str | None, Field(description="why not, such as the first condition of the filter policy that failed")
    ]


@dataclass(slots=True)
class Destinations:
    """The subscriptions of the topic of a message, as they are now."""

    topic: str | None
    read_at: Reading
    destinations: list[Destination]
    unknown: Annotated[str | None, Field(description="why nothing is known of the destinations")]
    note: Annotated[str, Field(description="what to consider")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.DESTINATIONS})

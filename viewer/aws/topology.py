"""The topology of an endpoint: its topics, their subscriptions, and the queues that these lead to.

A picture as it was read, which nobody changes; `topology_keeper.py` makes the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from pipeline.endpoint import Arn, ListedSubscription, ListedTopic, QueueDetails, SubscriptionDetails
from viewer.aws.filter_policy import FilterPolicy, PolicyError

# known: `details` say all; unread: not asked yet, or the endpoint did not say; missing: there is none of this
# name; elsewhere: of another account or region, which is not asked.
QueueState: TypeAlias = Literal["known", "unread", "missing", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Gap:
    """What the endpoint did not tell: the action that failed, such as `sns:ListTopics`, and why."""

    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadSubscription:
    """The attributes of a subscription; `policy` is None without a filter policy.

    The policy is the error of one that cannot be evaluated; then `details` hold only its beginning.
    `fingerprint` tells whether anything changed.
    """

    details: SubscriptionDetails
    policy: FilterPolicy | PolicyError | None
    fingerprint: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; `read` is None until its attributes are, and of one that is not confirmed."""

    listed: ListedSubscription
    read: ReadSubscription | None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue; `details` are None unless its state is known.

    `oldest_sent_at` is when the oldest message in it was sent, None if it is empty or the endpoint does not
    say.
    """

    arn: Arn
    state: QueueState
    details: QueueDetails | None = None
    read_at: datetime | None = None
    oldest_sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its subscriptions."""

    listed: ListedTopic
    subscriptions: Sequence[Subscription]


@dataclass(frozen=True, slots=True)
class Topology:
    """Topics by name, and queues by ARN. `read_at` is None until they were listed for the first time.

    `depths` say how many messages queues held while they were watched, by ARN, as DepthHistory.of does.
    """

    read_at: datetime | None = None
    topics: Sequence[Topic] = ()
    queues: Mapping[str, Queue] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    depths: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def topic(self, name_or_arn: str) -> Topic | None:
        """Return the topic of this name or ARN."""
        return next((one for one in self.topics if name_or_arn in (one.listed.name, one.listed.arn)), None)

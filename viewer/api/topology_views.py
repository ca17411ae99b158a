"""Views of the topology: what the API shows of subscriptions, queues and verdicts, with REDACT applied.

A filter policy may contain a value that REDACT masks in messages, and a message that it takes would have it.
So of masked fields neither is shown.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pipeline.endpoint import Arn, ListedSubscription, parse_arn
from pipeline.fifo import is_fifo
from pipeline.json_text import read_json
from pipeline.redaction import BYTES, MASK, Mask
from pipeline.store.topics import Flow
from viewer.api.topology_models import (
    Destination,
    Endpoint,
    EndpointTopology,
    LastMessage,
    TopicSubscription,
    TopologyGap,
    TopologyQueue,
    TopologyTopic,
)
from viewer.aws.destinations import Verdict
from viewer.aws.filter_policy import MessageFields, PolicyError, Scope, explain
from viewer.aws.filter_policy.policy import OR
from viewer.aws.topology import Queue, Subscription, Topic, Topology


class TopologyViews:
    """Shows the topology through a mask."""

    def __init__(self, mask: Mask, taps: Collection[str]) -> None:
        """Show nothing that the mask hides. `taps` are the names of Fanout's own queues."""
        self._mask, self._taps = mask, taps

    def topology(
        self, endpoint: Endpoint, picture: Topology, slot_seconds: float, flows: Mapping[str, Flow] | None
    ) -> EndpointTopology:
        """Return everything that exists; without `flows` it is not known what flows through topics."""
        return EndpointTopology(
            endpoint,
            picture.read_at,
            slot_seconds,
            topics=[self._topic(topic, flows) for topic in picture.topics],
            queues=[_queue(queue, picture.depths.get(arn, ())) for arn, queue in picture.queues.items()],
            gaps=[TopologyGap(gap.action, gap.reason) for gap in picture.gaps],
        )

    def _topic(self, topic: Topic, flows: Mapping[str, Flow] | None) -> TopologyTopic:
        flow = flows.get(topic.listed.name) if flows else None
        return TopologyTopic(
            topic.listed.name,
            topic.listed.arn,
            topic.listed.is_fifo,
            [*map(self._subscription, topic.subscriptions)],
            last_minute=None if flows is None else flow.last_minute if flow else 0,
            last_message=LastMessage(flow.seq, flow.time) if flow else None,
        )

    def destinations(self, verdicts: Iterable[Verdict], message: MessageFields) -> list[Destination]:
        """Return whether each subscription takes the message, in words."""
        screen = MaskScreen(self._mask, message)
        return [
            Destination(
                self._subscription(one.subscription),
                one.taken,
                explain(one.failure, screen) if one.failure else one.reason,
            )
            for one in verdicts
        ]

    def _subscription(self, subscription: Subscription) -> TopicSubscription:
        listed, read = subscription.listed, subscription.read
        details = read.details if read else None
        problem = read.policy if read and isinstance(read.policy, PolicyError) else None
        scope = _scope(details.filter_scope) if details and details.filter_policy else None
        return TopicSubscription(
            arn=listed.arn if listed.is_confirmed else None,
            protocol=listed.protocol,
            endpoint=listed.endpoint,
            own=self._is_own(listed),
            state="confirmed" if listed.is_confirmed else "deleted" if listed.arn == "Deleted" else "pending",
            raw=details.is_raw if details else None,
            filter_policy=self._policy(details.filter_policy, scope) if details and scope else None,
            filter_scope=scope,
            filter_problem=str(problem) if problem else None,
            dead_letter_queue=details.dead_letter_arn if details else None,
            read_at=read.read_at if read else None,
        )

    def _is_own(self, listed: ListedSubscription) -> bool:
        queue, topic = listed.queue, parse_arn(listed.topic_arn)
        if not queue or not topic or queue.name not in self._taps:
            return False
        return (queue.account, queue.region) == (topic.account, topic.region)

    def _policy(self, text: str | None, scope: Scope) -> Any:
        document = read_json(text or "")
        if isinstance(document, dict):
            return self._members(document, scope, "") if self._mask else document
        return MASK if self._mask else text

    def _members(self, members: dict[str, Any], scope: Scope, path: str) -> dict[str, Any]:
        """Mask the conditions of masked fields."""
        return {
            name: self._conditions(value, scope, path if name == OR else f"{path}.{name}".lstrip("."))
            for name, value in members.items()
        }

    def _conditions(self, value: Any, scope: Scope, path: str) -> Any:
        if hides(self._mask, scope, path):
            return MASK
        if isinstance(value, dict):
            return self._members(value, scope, path)
        if isinstance(value, list):
            return [self._members(one, scope, path) if isinstance(one, dict) else one for one in value]
        return value


class MaskScreen:
    """What may be shown of a message in words."""

    def __init__(self, mask: Mask, message: MessageFields) -> None:
        """Show nothing that the mask hides in this message."""
        self._mask = mask
        attributes = {name: text for name, (_, text) in message.attributes.items()}
        self._hides_body = bool(mask) and mask.body(message.body, attributes) == MASK

    def hides(self, scope: Scope, path: str) -> bool:
        """Return whether the values of this field are masked."""
        return (scope == "MessageBody" and self._hides_body) or hides(self._mask, scope, path)

    def text(self, scope: Scope, path: str, text: str) -> str:
        """Return a text of this field as it may be shown."""
        return self._mask.attribute(f"{'data' if scope == 'MessageBody' else 'attr'}.{path}", text)


def hides(mask: Mask, scope: Scope, path: str) -> bool:
    """Return whether a mask hides the values of this field, and in doubt others.

    A path of REDACT begins anew at every `data` in a body and in every text that is JSON. So it is looked
    for at each name of the path.
    """
    if not mask or scope == "MessageAttributes":
        return bool(mask) and mask.hides(f"attr.{path}")
    names = path.casefold().split(".")
    ends = [".".join(names[begin:]) for begin in range(len(names))]
    hidden = any(mask.hides(f"{root}.{end}") for end in ends for root in ("data", "attr"))
    return hidden or (BYTES in names and BYTES in mask.names)


def _scope(text: str) -> Scope:
    return "MessageBody" if text == "MessageBody" else "MessageAttributes"


def _queue(queue: Queue, depths: Sequence[int]) -> TopologyQueue:
    arn: Arn = queue.arn
    details = queue.details
    return TopologyQueue(
        name=arn.name,
        arn=str(arn),
        fifo=is_fifo(arn.name),
        state=queue.state,
        visible=details.visible if details else None,
        in_flight=details.in_flight if details else None,
        delayed=details.delayed if details else None,
        dead_letter_queue=details.dead_letter_arn if details else None,
        max_receive_count=details.max_receive_count if details else None,
        oldest_sent_at=queue.oldest_sent_at,
        depths=[*depths],
        read_at=queue.read_at,
    )

"""Where a message goes: which subscriptions of its topic take it, by their filter policies of now."""

from collections.abc import Iterator
from dataclasses import dataclass

from viewer.aws.filter_policy import Budget, Failure, MessageFields, PolicyError, TooMuch, first_failure
from viewer.aws.topology import Subscription, Topic, Topology


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a subscription takes a message; None if that is not known.

    `failure` is the first condition of its filter policy that failed; `reason` is anything else.
    """

    subscription: Subscription
    taken: bool | None
    failure: Failure | None = None
    reason: str | None = None


def verdicts(topic: Topic, topology: Topology, message: MessageFields) -> Iterator[Verdict]:
    """Yield a verdict for each subscription of a topic."""
    budget = Budget()
    for subscription in topic.subscriptions:
        yield _verdict(subscription, topology, message, budget)


def _verdict(
    subscription: Subscription, topology: Topology, message: MessageFields, budget: Budget
) -> Verdict:
    read = subscription.read
    if not subscription.listed.is_confirmed:
        return Verdict(subscription, False, reason="the subscription is not confirmed")
    if read is None:
        return Verdict(subscription, None, reason="its filter policy is not known")
    if isinstance(read.policy, PolicyError):
        return Verdict(subscription, None, reason=f"its filter policy cannot be evaluated: {read.policy}")
    try:
        failure = first_failure(read.policy, message, budget) if read.policy else None
    except TooMuch:
        return Verdict(subscription, None, reason="evaluating its filter policy would take too long")
    if failure:
        return Verdict(subscription, False, failure)
    queue = topology.queues.get(subscription.listed.endpoint)
    is_missing = queue is not None and queue.state == "missing"
    return Verdict(subscription, True, reason="its queue does not exist" if is_missing else None)

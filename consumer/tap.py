"""The tap: a queue of Fanout's own that is subscribed to every topic of WATCH, so that nobody else's messages
are taken.

It is kept, not made once: topics come and go, an emulator restarts and has forgotten everything, somebody
deletes the queue or a subscription. Everything here can be repeated, so that replicas share a tap without
knowing of each other. What Fanout did not create is never changed: its queue is recognised by a tag, its
subscriptions by leading to that queue.

A topic that leads to a queue which is read anyway is left out, so that each message is seen once.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumer.metrics import TAP_PROBLEMS, TAPPED
from consumer.tap_queue import NotOurs, OwnQueue, PolicyRefused
from pipeline.endpoint import (
    Arn,
    ListedSubscription,
    ListedTopic,
    describe_subscription,
    in_parallel,
    is_aws,
    is_missing,
    list_subscriptions,
    list_topics,
)
from pipeline.retry import AWS_ERRORS, Dependency, explain
from pipeline.store.taps import WatchedTopics
from pipeline.watching import Patterns

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# How often topics are listed, and how often subscriptions too. What vanished is made again within 15 seconds
# on an emulator; AWS charges for requests, and limits them.
TURN_SECONDS, WHOLE_TURN_SECONDS = 6.0, 12.0
AWS_TURN_SECONDS, AWS_WHOLE_TURN_SECONDS = 30.0, 60.0
# After an outage, or after AWS throttled something; and the least time between two turns.
RETRY_SECONDS = 3.0
# Until something that was refused is tried again; doubled every time.
FIRST_REFUSED_SECONDS, MAX_REFUSED_SECONDS = 30.0, 600.0
STOP_CHECK_SECONDS = 0.25
# Filter policies that are read again in a turn: they can change, but a queue may have hundreds.
MAX_REREAD = 2
MAX_NAMED = 10  # topics in a line

log = logging.getLogger(__name__)

Problems = dict[str, str]  # what cannot be done, by its kind: a line each


class Refusals:
    """What the endpoint refused, by its ARN: it is tried again after a growing time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Know of none yet."""
        self._clock = clock
        self._errors: dict[str, ClientError] = {}
        self._due: dict[str, float] = {}
        self._waits: dict[str, float] = {}

    def is_due(self, arn: str) -> bool:
        """Return whether this should be tried."""
        return arn not in self._due or self._due[arn] <= self._clock()

    def note(self, arn: str, error: ClientError | None) -> None:
        """Record that it was refused, or that it worked."""
        if error is None or is_missing(error):  # it was deleted in the meantime
            for known in (self._errors, self._due, self._waits):
                known.pop(arn, None)
            return
        self._errors[arn] = error
        if is_throttling(error):  # which ends by itself
            return
        wait = self._waits.get(arn, FIRST_REFUSED_SECONDS)
        self._due[arn] = self._clock() + wait
        self._waits[arn] = min(2 * wait, MAX_REFUSED_SECONDS)

    def keep(self, arns: Collection[str]) -> None:
        """Forget all but these."""
        for arn in self._errors.keys() - arns:
            self.note(arn, None)

    def lines(self, what: str) -> Problems:
        """Return a line for each reason, with the topics that it concerns."""
        by_kind: dict[str, list[str]] = {}
        for arn, error in self._errors.items():
            by_kind.setdefault(f"{what} {_code(error)}", []).append(arn)
        return {
            kind: f"{what} {name_some(map(_topic_name, arns))}: {explain(self._errors[arns[0]])}"
            for kind, arns in by_kind.items()
        }

    @property
    def is_throttled(self) -> bool:
        """Whether anything was throttled."""
        return any(map(is_throttling, self._errors.values()))


class Tap:
    """The subscriptions of one queue. One thread keeps them."""

    def __init__(
        self,
        sns: "SNSClient",
        queue: OwnQueue,
        patterns: Patterns,
        read_anyway: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send no request yet. `read_anyway` returns the queues that are read into the same store."""
        self.queue = queue
        self.status = WatchedTopics(queue.name)
        self._sns, self._patterns, self._queues_read_anyway = sns, patterns, read_anyway
        self._clock = clock
        self._is_aws = is_aws(sns.meta.endpoint_url)
        self._whole_turn_at = float("-inf")
        # The subscription of each topic that is tapped, as SNS returned it. A list is not enough: LocalStack
        # goes on listing that of a topic which was deleted and created again, but delivers nothing to it.
        self._tapped: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._order: list[str] = []
        self._known: set[str] = set()
        self._unsubscribed: set[str] = set()
        self._unfiltered: dict[str, bool] = {}  # by subscription; the one that was read first comes first
        self._not_tapped, self._not_untapped = Refusals(clock), Refusals(clock)
        self._problems: Problems = {}

    # ---- turns

    def keep_until_stopped(
        self,
        stop: threading.Event,
        beat: Callable[[], None],
        report: Callable[[WatchedTopics], None] = lambda _: None,
    ) -> None:
        """Keep it until asked to stop; `report` is told after each turn what is watched."""
        endpoint = Dependency("SNS and SQS, for the tap")
        while not stop.is_set():
            seconds = RETRY_SECONDS
            try:
                seconds = self.keep()
                endpoint.worked()
                report(self.status)
            except AWS_ERRORS as error:
                endpoint.failed(error)
                self._whole_turn_at = float("-inf")
                self.queue.forget(explain(error))
            except Exception:
                log.exception("tap not kept")
            self._wait(seconds, stop, beat)

    def _wait(self, seconds: float, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Wait so long, or shorter if the queue is gone."""
        began = time.monotonic()
        beat()
        while not stop.wait(STOP_CHECK_SECONDS):
            beat()
            waited = time.monotonic() - began
            if waited >= (RETRY_SECONDS if self.queue.is_gone.is_set() else seconds):
                return

    def keep(self) -> float:
        """Do whatever is missing; return the seconds until this should be repeated.

        What is refused is logged, and does not keep the rest from being done. Raises what boto3 raises if the
        endpoint is away.
        """
        problems: Problems = {}
        try:
            self._turn(problems)
        except ClientError as error:
            self._whole_turn_at = float("-inf")
            self.queue.forget(explain(error))
            problems[_code(error)] = explain(error)
        except NotOurs as error:
            problems["queue"] = str(error)
        self._say(
            problems | self._not_tapped.lines("not watched:") | self._not_untapped.lines("still watched:")
        )
        is_short = self._not_tapped.is_throttled or self._not_untapped.is_throttled
        return RETRY_SECONDS if is_short else AWS_TURN_SECONDS if self._is_aws else TURN_SECONDS

    def _turn(self, problems: Problems) -> None:
        topics = list_topics(self._sns)
        if unused := self._patterns.unused(topic.name for topic in topics):
            problems["unused"] = f"no topic matches {', '.join(unused)} (WATCH)"
        watched = [topic.arn for topic in topics if self._patterns.match(topic.name)]
        self._forget_what_is_gone(watched)
        if self._is_whole_turn_due(watched):
            self._keep_all(topics, watched, problems)
        else:
            # What was not looked at is as it was.
            problems |= {kind: line for kind, line in self._problems.items() if kind in _OF_WHOLE_TURNS}

    def _is_whole_turn_due(self, watched: Sequence[str]) -> bool:
        # The queue first: a topic that is subscribed before its queue is there loses what it sends.
        return (
            self._is_queue_forgotten()
            or self._clock() >= self._whole_turn_at
            or self.queue.is_gone.is_set()
            or self._not_tapped.is_throttled
            or not self._known.issuperset(watched)
            or self._is_last_recreated()
        )

    def _keep_all(self, topics: Sequence[ListedTopic], watched: Sequence[str], problems: Problems) -> None:
        queue = self._keep_queue(problems)
        listed = self._list_subscriptions(problems)
        if listed is not None:
            there = {one.arn for one in listed}
            self._tapped = {topic: arn for topic, arn in self._tapped.items() if arn in there}
            self._left_out = self._read_anyway(listed, queue, problems)
        wanted = [arn for arn in watched if arn not in self._left_out]
        self._not_tapped.keep(set(wanted))
        self._subscribe([arn for arn in wanted if arn not in self._tapped], queue)
        self._unsubscribe(listed or [], queue, {topic.arn for topic in topics}.difference(wanted))
        self._known = set(watched)
        self._whole_turn_at = self._clock() + (AWS_WHOLE_TURN_SECONDS if self._is_aws else WHOLE_TURN_SECONDS)

    def _keep_queue(self, problems: Problems) -> Arn:
        try:
            arn, is_new = self.queue.keep()
        except PolicyRefused as error:
            problems["policy"] = str(error)
            arn, is_new = self.queue.arn, False
        if is_new:
            self._tapped.clear()
        return arn

    # ---- topics that are gone, or were created again

    def _forget_what_is_gone(self, watched: Sequence[str]) -> None:
        """Forget topics that are gone, and those that are not where they were in the list.

        Emulators list topics in the order in which they were created: one that was deleted and created again
        comes after all others.
        """
        present, before = set(watched), set(self._order)
        gone = before - present
        if not self._is_aws:
            gone |= _moved(self._order, [arn for arn in watched if arn in before])
        self._tapped = {topic: arn for topic, arn in self._tapped.items() if topic not in gone}
        self._known -= gone
        self._order = list(watched)

    def _is_queue_forgotten(self) -> bool:
        """Return whether an emulator restarted without the queue; AWS charges for requests, and keeps it."""
        return not self._is_aws and not self.queue.exists()

    def _is_last_recreated(self) -> bool:
        """Return whether the last one in the list was created again; if not, none has been in its place.

        AWS lists nothing of a topic that was deleted.
        """
        last = next((arn for arn in reversed(self._order) if arn in self._tapped), None)
        if last is None or self._is_aws:
            return False
        subscribed = self._try_to_subscribe(last, self.queue.arn)
        if isinstance(subscribed, ClientError) or subscribed == self._tapped[last]:
            return False
        self._tapped.clear()
        return True

    # ---- subscriptions

    def _list_subscriptions(self, problems: Problems) -> list[ListedSubscription] | None:
        try:
            return list_subscriptions(self._sns)
        except ClientError as error:
            problems["subscriptions"] = (
                "subscriptions cannot be listed: none is noticed that somebody deletes, or that leads to a "
                f"queue which is read anyway: {explain(error)}"
            )
            return None

    def _read_anyway(self, listed: Sequence[ListedSubscription], tap: Arn, problems: Problems) -> set[str]:
        """Return the topics that lead, without a filter policy, to a queue that is read anyway."""
        queues = {replace(tap, name=name) for name in self._queues_read_anyway()} - {tap}
        leading = [one for one in listed if one.queue in queues and one.is_confirmed]
        self._read_filters([one.arn for one in leading], problems)
        return {one.topic_arn for one in leading if self._unfiltered.get(one.arn)}

    def _read_filters(self, arns: Sequence[str], problems: Problems) -> None:
        """Find out which of these subscriptions have no filter policy; ask again about a few known ones."""
        self._unfiltered = {arn: known for arn, known in self._unfiltered.items() if arn in arns}
        again = list(self._unfiltered)[:MAX_REREAD]
        asked = [*(arn for arn in arns if arn not in self._unfiltered), *again]
        for arn, answer in zip(asked, in_parallel(self._is_unfiltered, asked), strict=True):
            before = self._unfiltered.pop(arn, False)
            self._unfiltered[arn] = answer if isinstance(answer, bool) else before
            if isinstance(answer, ClientError):
                problems["filters"] = (
                    "filter policies cannot be read: messages that also reach a queue which is read anyway "
                    f"may be seen twice: {explain(answer)}"
                )

    def _is_unfiltered(self, arn: str) -> bool | ClientError:
        try:
            details = describe_subscription(self._sns, arn)
        except ClientError as error:
            return error
        return details is not None and not _filters(details.filter_policy)

    def _subscribe(self, arns: Sequence[str], queue: Arn) -> None:
        tried = [arn for arn in arns if self._not_tapped.is_due(arn)]
        outcomes = in_parallel(lambda arn: self._try_to_subscribe(arn, queue), tried)
        subscribed = {arn: one for arn, one in zip(tried, outcomes, strict=True) if isinstance(one, str)}
        for arn, one in zip(tried, outcomes, strict=True):
            self._not_tapped.note(arn, one if isinstance(one, ClientError) else None)
        self._tapped |= subscribed
        if subscribed:
            names = name_some(map(_topic_name, subscribed))
            log.info("watching", extra={"queue": queue.name, "topics": names})

    def _try_to_subscribe(self, topic_arn: str, queue: Arn) -> str | ClientError:
        """Return the subscription, whether or not there was one already, or why it was refused."""
        try:
            return self._sns.subscribe(
                TopicArn=topic_arn, Protocol="sqs", Endpoint=str(queue), ReturnSubscriptionArn=True
            )["SubscriptionArn"]
        except ClientError as error:
            return error

    def _unsubscribe(self, listed: Sequence[ListedSubscription], queue: Arn, topics: Collection[str]) -> None:
        """End what leads from these topics to the tap."""
        there = {one.arn for one in listed}
        self._unsubscribed &= there
        self._not_untapped.keep(there)
        unwanted = [
            one
            for one in listed
            if one.queue == queue
            and one.topic_arn in topics
            and one.arn not in self._unsubscribed
            and self._not_untapped.is_due(one.arn)
        ]
        for one, error in zip(unwanted, end_subscriptions(self._sns, unwanted), strict=True):
            self._not_untapped.note(one.arn, error)
            if error is None:
                self._unsubscribed.add(one.arn)  # lists may lag behind
                log.info("no longer watching", extra={"queue": queue.name, "topics": one.topic_name})
        self._tapped = {arn: one for arn, one in self._tapped.items() if arn not in topics}

    # ---- what an operator is told

    def _say(self, problems: Problems) -> None:
        """Log what is new of the problems, and what is resolved."""
        name = self.queue.name
        for kind, line in problems.items():
            if self._problems.get(kind) != line:
                log.warning("tap incomplete", extra={"queue": name, "reason": line})
        for kind in self._problems.keys() - problems.keys():
            log.info("tap resolved", extra={"queue": name, "reason": self._problems[kind]})
        self._problems = problems
        left_out = sorted(filter(self._patterns.match, map(_topic_name, self._left_out)))
        if left_out != self.status.left_out and left_out:
            log.info("left out: read anyway", extra={"queue": name, "topics": name_some(left_out)})
        tapped = sorted(map(_topic_name, self._tapped))
        self.status = WatchedTopics(name, tapped, left_out, list(problems.values()))
        TAPPED.labels(name).set(len(self._tapped))
        TAP_PROBLEMS.labels(name).set(len(problems))


# Problems that only a whole turn finds, or finds resolved.
_OF_WHOLE_TURNS = ("policy", "subscriptions", "filters")


def end_subscriptions(
    sns: "SNSClient", subscriptions: Sequence[ListedSubscription]
) -> list[ClientError | None]:
    """Unsubscribe; return for each why it was refused, or None if it is gone."""

    def end(subscription: ListedSubscription) -> ClientError | None:
        try:
            sns.unsubscribe(SubscriptionArn=subscription.arn)
        except ClientError as error:
            return None if _is_gone(sns, subscription, error) else error
        return None

    return in_parallel(end, subscriptions)


def name_some(names: Iterable[str]) -> str:
    """Return names for a line of text: `a, b and 90 more`."""
    listed = sorted(names)
    more = len(listed) - MAX_NAMED
    return ", ".join(listed[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def is_throttling(error: ClientError) -> bool:
    """Return whether there were too many requests."""
    return any(word in _code(error) for word in ("Throttl", "TooManyRequests", "RequestLimitExceeded"))


def _is_gone(sns: "SNSClient", subscription: ListedSubscription, error: ClientError) -> bool:
    """Return whether a subscription that could not be ended does not exist, as its topic tells.

    LocalStack fails to end one of a topic that was deleted and created again.
    """
    if is_missing(error):
        return True
    try:
        return subscription.arn not in {one.arn for one in list_subscriptions(sns, subscription.topic_arn)}
    except ClientError:
        return False


def _moved(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """Return what is not in the order that it had before; what comes first stays in place."""
    moved, position = set(), 0
    for one in before:
        if position < len(after) and after[position] == one:
            position += 1
        else:
            moved.add(one)
    return moved


def _filters(policy: str | None) -> bool:
    """Return whether a filter policy can hold messages back: an empty one does not."""
    try:
        return policy is not None and json.loads(policy) != {}
    except ValueError:
        return True


def _code(error: ClientError) -> str:
    return f"{error.operation_name} {error.response['Error'].get('Code', '')}"


def _topic_name(arn: str) -> str:
    """Return the name of the topic of this ARN, be it the topic's or a subscription's."""
    return arn.split(":")[5]

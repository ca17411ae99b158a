"""Keeping the topology: it is listed every few seconds, rarely on AWS, and attributes are asked in turns.

However many pages and clients look at it, they look at what was read last. What the endpoint refuses, one
action after the other, is named and costs only its part: what was known before stays.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from pipeline.aws import queue_url
from pipeline.endpoint import (
    Arn,
    ListedQueue,
    ListedSubscription,
    ListedTopic,
    QueueDetails,
    SubscriptionDetails,
    describe_queue,
    describe_subscription,
    in_parallel,
    is_aws,
    is_missing,
    list_queues,
    list_subscriptions,
    list_topics,
    parse_arn,
)
from pipeline.retry import AWS_ERRORS, explain
from viewer.aws.depth_history import DepthHistory
from viewer.aws.fetching import FetchError
from viewer.aws.filter_policy import FilterPolicy, PolicyError, parse_policy
from viewer.aws.queue_inspection import CannotLook, oldest_sent_at
from viewer.aws.topology import Gap, Queue, ReadSubscription, Subscription, Topic, Topology
from viewer.aws.turns import Turns

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# More of either is not shown.
MAX_TOPICS = 5_000
MAX_SUBSCRIPTIONS = 20_000
MAX_QUEUES = 5_000
# Of all filter policies together.
MAX_POLICY_CHARACTERS = 16 * 1024 * 1024
MAX_MALFORMED_CHARACTERS = 2_000  # of a policy that cannot be evaluated
# Of what is new; the rest follows in the next turns.
MAX_NEW = 1_000
# Requests for attributes. Each answer may have 256 KiB, and whoever looks at the page waits meanwhile.
AT_ONCE = 4
# In a row, before nothing more is asked in this turn: if nothing was told before, and otherwise.
MAX_REFUSALS, MAX_REFUSALS_OF_SOME = 3, 20
MAX_NAMED = 5  # in a line
MAX_SLOWDOWN = 8
# An emulator tells the oldest message of a queue only with all others and their bodies.
MAX_AGED = 100
AGE_SECONDS = 60.0  # until it is asked again of a queue whose depth did not change
PAGE = 100  # topics or subscriptions ("ListTopics", AWS)
# An emulator that takes long to answer is left alone for so many times as long.
MIN_REST = 2
THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown")
DENIED = ("AccessDenied", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation", "Forbidden")

Item = TypeVar("Item")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an endpoint is asked.

    Everything is listed every `turn_seconds`. In a turn, the attributes of so many queues and subscriptions
    that were read before are read again, each at most every `turn_seconds`, and as far as that goes every
    `max_seconds`. Where lists have many pages, a turn takes longer. The history of depths has one slot for
    every `slot_seconds`.
    """

    turn_seconds: float
    max_seconds: float
    slot_seconds: float
    queues: int
    subscriptions: int
    lists_per_minute: float


EMULATOR_PACE: Final = Pace(5, 10, 10, queues=60, subscriptions=60, lists_per_minute=float("inf"))
# With 100 topics and 300 subscriptions to as many queues these are 40 calls a minute, five of them lists.
AWS_PACE: Final = Pace(60, 600, 120, queues=20, subscriptions=15, lists_per_minute=15)


class Unreachable(Exception):
    """The endpoint does not answer at all; the text says why."""


class TopologyKeeper:
    """Keeps the topology of one endpoint. One thread runs it; `current` and `hurry` may be used by all."""

    def __init__(
        self,
        sns: "SNSClient",
        sqs: "SQSClient",
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send no request yet."""
        self.current = Topology()
        self.endpoint_url = sns.meta.endpoint_url
        self.is_aws = is_aws(self.endpoint_url)
        self.region = sns.meta.region_name
        self._sns, self._sqs, self._stop, self._clock = sns, sqs, stop, clock
        self._pace = AWS_PACE if self.is_aws else EMULATOR_PACE
        self._slowdown, self._is_throttled = 1, False
        self._gaps: dict[str, str] = {}
        self._refused: dict[str, dict[str, str]] = {}  # why, by action and ARN; until it is told
        self._topics: Sequence[ListedTopic] = ()
        self._listed: Sequence[ListedSubscription] = ()
        self._urls: dict[str, str] = {}  # of queues, by ARN
        self._lists_queues = False
        self._subscriptions: dict[str, ReadSubscription] = {}
        self._queues: dict[str, Queue] = {}
        times = self._pace.turn_seconds, self._pace.max_seconds, clock
        self._subscription_turns: Turns[str] = Turns(*times)
        self._queue_turns: Turns[str] = Turns(*times)
        self._depths = DepthHistory(self._pace.slot_seconds, clock)
        self._may_look = not self.is_aws
        self._aged_at: dict[str, float] = {}

    @property
    def slot_seconds(self) -> float:
        """How long each slot of the history of depths is."""
        return self._pace.slot_seconds

    def run(self) -> None:
        """Take turns until stopped."""
        while True:
            began = self._clock()
            try:
                self.turn()
            except Exception:
                log.exception("the topology could not be read")
            if self._stop.wait(self.pause(self._clock() - began)):
                return

    def turn(self) -> None:
        """Read what is due, and make the next picture. Raises nothing that an endpoint can cause."""
        before, self._gaps, self._is_throttled = self._gaps, {}, False
        self._may_look = not self.is_aws
        try:
            self._list()
            if self.current.read_at is None:  # attributes take longer: names can be seen meanwhile
                self.current = self._picture(datetime.now(UTC))
            self._describe()
            read_at: datetime | None = datetime.now(UTC)
        except Unreachable as error:
            self._gaps["endpoint"] = str(error)
            read_at = self.current.read_at
        self._gaps |= {action: _gap(refused) for action, refused in self._refused.items() if refused}
        self._log_gaps(before)
        self._slowdown = min(2 * self._slowdown, MAX_SLOWDOWN) if self._is_throttled else 1
        self.current = self._picture(read_at)

    def hurry(self, topic: Topic) -> None:
        """Read the subscriptions of this topic again in the next turn, before others."""
        self._subscription_turns.hurry(one.listed.arn for one in topic.subscriptions)

    # ---- lists

    def _list(self) -> None:
        listed = self._try("sns:ListSubscriptions", lambda: list_subscriptions(self._sns))
        if listed is not None:
            self._listed = self._first("subscriptions", listed, MAX_SUBSCRIPTIONS)
        topics = self._try("sns:ListTopics", lambda: list_topics(self._sns))
        if topics is None:  # those that are known otherwise
            arns = {one.arn for one in self._topics} | {one.topic_arn for one in self._listed}
            topics = [ListedTopic(arn) for arn in arns]
        self._topics = self._first("topics", sorted(topics, key=lambda one: one.name), MAX_TOPICS)
        queues = self._try("sqs:ListQueues", lambda: list_queues(self._sqs))
        self._lists_queues = queues is not None
        if queues is not None:
            first = self._first("queues", queues, MAX_QUEUES)
            self._urls = {str(self._arn_of(queue)): queue.url for queue in first}

    def _try(self, action: str, call: Callable[[], Item]) -> Item | None:
        """Return what the endpoint says, None if it refused to. Raises Unreachable."""
        try:
            return call()
        except ClientError as error:
            self._gaps[action] = self._why(error)
            return None
        except AWS_ERRORS as error:
            raise Unreachable(explain(error)) from None

    def _first(self, what: str, items: Sequence[Item], most: int) -> Sequence[Item]:
        if len(items) > most:
            self._gaps[what] = f"the first {most:,} of {len(items):,} {what} are shown"
        return items[:most]

    def _arn_of(self, queue: ListedQueue) -> Arn:
        path = urlsplit(queue.url).path.strip("/").split("/")
        account = path[-2] if len(path) > 1 else self._account
        return Arn(self._sqs.meta.partition, "sqs", self.region, account, queue.name)

    @property
    def _account(self) -> str:
        """The account that is asked, as far as its topics tell."""
        arn = parse_arn(self._topics[0].arn) if self._topics else None
        return arn.account if arn else ""

    # ---- attributes

    def _describe(self) -> None:
        confirmed = {one.arn for one in self._listed if one.is_confirmed}
        self._subscription_turns.keep(confirmed)
        self._subscriptions = {arn: one for arn, one in self._subscriptions.items() if arn in confirmed}
        turns = self._subscription_turns
        arns = turns.next(MAX_NEW, self._pace.subscriptions)
        action = "sns:GetSubscriptionAttributes"
        for arn, details in self._ask(action, arns, lambda arn: describe_subscription(self._sns, arn), turns):
            turns.note(arn, changed=self._keep_subscription(arn, details))
        for max_known in (self._pace.queues, 0):  # once more for dead-letter queues that were not known
            self._describe_queues(max_known)

    def _describe_queues(self, max_known: int) -> None:
        self._queues = {str(arn): self._known(arn) for arn in self._queue_arns()}
        asked = [arn for arn, queue in self._queues.items() if queue.state in ("known", "unread")]
        turns = self._queue_turns
        turns.keep(asked)
        self._depths.keep(self._queues.keys())
        self._aged_at = {arn: at for arn, at in self._aged_at.items() if arn in self._queues}
        due = turns.next(MAX_NEW, max_known)
        for arn, queue in self._ask("sqs:GetQueueAttributes", due, self._read_queue, turns):
            turns.note(arn, changed=self._keep_queue(arn, queue))

    def _ask(
        self, action: str, arns: Sequence[str], read: Callable[[str], Item], turns: Turns[str]
    ) -> Iterator[tuple[str, Item]]:
        """Yield what is read of each that the endpoint tells. Raises Unreachable."""
        refused = self._refused[action] = {
            arn: why for arn, why in self._refused.get(action, {}).items() if arn in turns
        }
        refusals, is_any_told, lost = 0, False, ""

        def ask(arn: str) -> tuple[str, Item] | None:
            nonlocal refusals, is_any_told, lost
            try:
                answer = arn, read(arn)
            except ClientError as error:
                refusals += 1
                refused[arn] = self._why(error)
                if not _is_throttling(error):
                    turns.note(arn, changed=False)
                return None
            except AWS_ERRORS as error:
                lost = explain(error)
                return None
            refusals, is_any_told = 0, True
            refused.pop(arn, None)
            return answer

        # What is refused has names that are alike, and would keep the rest waiting.
        asked = random.sample(arns, len(arns))
        for begin in range(0, len(asked), AT_ONCE):
            yield from filter(None, in_parallel(ask, asked[begin : begin + AT_ONCE]))
            if lost:
                raise Unreachable(lost)
            most = MAX_REFUSALS_OF_SOME if is_any_told and not self._is_throttled else MAX_REFUSALS
            if refusals >= most or self._stop.is_set():
                return

    def _keep_subscription(self, arn: str, details: SubscriptionDetails | None) -> bool:
        """Keep what was read; return whether it changed."""
        known = self._subscriptions.pop(arn, None)
        if details is None:
            return known is not None
        kept, now = replace(details, attributes={}), datetime.now(UTC)
        fingerprint = hash(repr(kept))
        if known and known.fingerprint == fingerprint:
            self._subscriptions[arn] = replace(known, read_at=now)
            return False
        policy = self._parse(kept)
        if isinstance(policy, PolicyError) and kept.filter_policy:
            kept = replace(kept, filter_policy=kept.filter_policy[:MAX_MALFORMED_CHARACTERS])
        self._subscriptions[arn] = ReadSubscription(kept, policy, fingerprint, now)
        return True

    def _parse(self, details: SubscriptionDetails) -> FilterPolicy | PolicyError | None:
        text = details.filter_policy
        if text is None:
            return None
        others = sum(len(one.details.filter_policy or "") for one in self._subscriptions.values())
        try:
            if others + len(text) > MAX_POLICY_CHARACTERS:
                raise PolicyError("the filter policies are too large together")
            on_body = details.filter_scope == "MessageBody"
            return parse_policy(text, "MessageBody" if on_body else "MessageAttributes")
        except PolicyError as error:
            return error

    def _queue_arns(self) -> Iterator[Arn]:
        """Yield the queues that were listed, that subscriptions lead to, and their dead-letter queues."""
        yield from filter(None, map(parse_arn, self._urls))
        yield from (one.queue for one in self._listed if one.queue)
        dead = [one.details.dead_letter_arn for one in self._subscriptions.values()]
        dead += [one.details.dead_letter_arn for one in self._queues.values() if one.details]
        yield from filter(None, (parse_arn(arn) for arn in dead if arn))

    def _known(self, arn: Arn) -> Queue:
        """Return what is known of a queue before it is asked."""
        if arn.region != self.region or arn.account != (self._account or arn.account):
            return Queue(arn, "elsewhere")
        if self._lists_queues and str(arn) not in self._urls:
            return Queue(arn, "missing")
        known = self._queues.get(str(arn))
        return known if known and known.details else Queue(arn, "unread")

    def _read_queue(self, arn: str) -> Queue:
        known = self._queues[arn].arn
        url = self._urls.get(arn) or self._url_of(known)
        details = describe_queue(self._sqs, url) if url else None
        if url is None or details is None:
            return Queue(known, "missing")
        kept = replace(details, attributes={}, policy=None)
        return Queue(known, "known", kept, datetime.now(UTC), self._oldest_sent_at(arn, url, kept))

    def _oldest_sent_at(self, arn: str, url: str, details: QueueDetails) -> datetime | None:
        """Return when the oldest message was sent, as far as an emulator tells; AWS only tells CloudWatch."""
        if not self._may_look or not 0 < details.total <= MAX_AGED:
            return None
        known, now = self._queues[arn], self._clock()
        if known.details == details and now < self._aged_at.get(arn, float("-inf")) + AGE_SECONDS:
            return known.oldest_sent_at
        self._aged_at[arn] = now
        try:
            return oldest_sent_at(url)
        except CannotLook:
            self._may_look = False  # in this turn
        except FetchError:
            pass
        return None

    def _keep_queue(self, arn: str, queue: Queue) -> bool:
        """Keep what was read; return whether it changed."""
        known, self._queues[arn] = self._queues[arn], queue
        if queue.details:
            self._depths.note(arn, queue.details.total)
        return (known.state, known.details) != (queue.state, queue.details)

    def _url_of(self, arn: Arn) -> str | None:
        """Return the URL of a queue that is not listed, None if there is none."""
        try:
            self._urls[str(arn)] = queue_url(self._sqs, arn.name)
            return self._urls[str(arn)]
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    # ---- the picture

    def _picture(self, read_at: datetime | None) -> Topology:
        by_topic: dict[str, list[Subscription]] = {}
        for one in sorted(self._listed, key=lambda one: (one.protocol, one.endpoint)):
            found = Subscription(one, self._subscriptions.get(one.arn))
            by_topic.setdefault(one.topic_arn, []).append(found)
        return Topology(
            read_at=read_at,
            topics=[Topic(topic, by_topic.get(topic.arn, [])) for topic in self._topics],
            queues=dict(sorted(self._queues.items(), key=lambda item: item[1].arn.name)),
            gaps=[Gap(action, reason) for action, reason in self._gaps.items()],
            depths={arn: self._depths.of(arn) for arn in self._queues},
        )

    # ---- pace

    def pause(self, seconds: float) -> float:
        """Return how long to rest after a turn that took so many seconds."""
        pages = sum(len(listed) // PAGE + 1 for listed in (self._topics, self._listed, self._urls))
        by_lists = pages * 60 / self._pace.lists_per_minute
        return max(self._pace.turn_seconds * self._slowdown, seconds * MIN_REST, by_lists)

    def _why(self, error: ClientError) -> str:
        """Return why something was refused, and remember throttling."""
        self._is_throttled = self._is_throttled or _is_throttling(error)
        why = explain(error)
        return f"not allowed: {why}" if _has_code(error, DENIED) else why

    def _log_gaps(self, before: dict[str, str]) -> None:
        for action, reason in self._gaps.items():
            if action not in before:
                log.warning("the topology has a gap", extra={"action": action, "reason": reason})
        for action in before.keys() - self._gaps.keys():
            log.info("the topology has a gap no more", extra={"action": action})


def _gap(refused: Mapping[str, str]) -> str:
    """Return the reason that was found last, and of what: topics and queues, whose names ARNs have alike."""
    names = sorted({arn.split(":")[5] for arn in refused})
    more = len(names) - MAX_NAMED
    some = ", ".join(names[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    return f"{[*refused.values()][-1]} ({some})"


def _is_throttling(error: ClientError) -> bool:
    return _has_code(error, THROTTLED)


def _has_code(error: ClientError, words: Sequence[str]) -> bool:
    code = str(error.response["Error"].get("Code", ""))
    return any(word in code for word in words)

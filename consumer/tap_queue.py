"""The queue of the tap: created, recognised by its tag, and read like any other queue."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from consumer.queue import Queue
from pipeline.aws import LONG_POLL_SECONDS, MAX_BATCH, queue_url
from pipeline.endpoint import Arn, is_missing, parse_arn
from pipeline.message import Delivery
from pipeline.watching import Patterns

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

TAG, TAG_VALUE = "fanout", "tap"
RETENTION_SECONDS = 14 * 86_400  # the longest that SQS keeps a message
# Pollers notice at once when the queue is gone; this is for a policy that somebody changed.
CHECK_SECONDS = 300.0
USABLE_SECONDS = 1.0

log = logging.getLogger(__name__)


class NotReady(BotoCoreError):
    """The tap cannot be read: its queue is not made yet, or not Fanout's."""

    fmt = "{reason}"


class NotOurs(Exception):
    """A queue of the tap's name exists that Fanout did not create."""


class PolicyRefused(Exception):
    """The queue exists, but SNS may not send to it."""


class OwnQueue:
    """A queue that one thread keeps, while pollers wait until it can be read."""

    def __init__(
        self,
        sqs: "SQSClient",
        name: str,
        patterns: Patterns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send no request yet. Topics that the patterns match may send to it."""
        self.name = name
        self.is_gone = threading.Event()  # set by a poller that found no queue
        self._sqs, self._patterns, self._clock = sqs, patterns, clock
        self._usable = threading.Event()
        self._reason = "the tap is not made yet"
        self._url = ""
        self._arn: Arn | None = None
        self._checked_at = float("-inf")

    # ---- for pollers

    def wait_until_usable(self) -> None:
        """Return once it can be read. Raises NotReady after a second."""
        if not self._usable.wait(USABLE_SECONDS):
            raise NotReady(reason=self._reason)

    # ---- for the thread that keeps it

    @property
    def arn(self) -> Arn:
        """Its ARN, once it was kept."""
        assert self._arn is not None
        return self._arn

    def exists(self) -> bool:
        """Return whether there is a queue of its name; if not, `keep` makes it. Raises what boto3 raises."""
        try:
            queue_url(self._sqs, self.name)
        except ClientError as error:
            if not is_missing(error):
                raise
            self.is_gone.set()
            return False
        return True

    def keep(self) -> tuple[Arn, bool]:
        """Return its ARN, and whether it was created: then nothing that led to it counts.

        Raises NotOurs, PolicyRefused, which leaves it usable, and what boto3 raises.
        """
        if self._arn and not self.is_gone.is_set() and self._clock() < self._checked_at + CHECK_SECONDS:
            return self.arn, False
        self.is_gone.clear()
        try:
            return self._find_or_create()
        except NotOurs as error:
            self._arn, self._reason = None, str(error)
            self._usable.clear()
            raise

    def forget(self, reason: str) -> None:
        """Look at everything next time, because the endpoint failed for this reason."""
        self._checked_at, self._reason = float("-inf"), reason

    def _find_or_create(self) -> tuple[Arn, bool]:
        is_new = False
        try:
            self._url = queue_url(self._sqs, self.name)
            attributes = self._attributes()
        except ClientError as error:
            if not is_missing(error):
                raise
            self._create()
            attributes, is_new = self._attributes(), True
        self._arn = arn = _queue_arn(attributes)
        policy = sending_policy(arn, self._patterns)
        if _json(attributes.get("Policy")) != policy:
            self._check_tag()
            self._usable.set()
            self._allow(policy)
        self._checked_at = self._clock()
        self._usable.set()
        return arn, is_new

    def _create(self) -> None:
        attributes: Any = {
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "ReceiveMessageWaitTimeSeconds": str(LONG_POLL_SECONDS),
        }
        created = self._sqs.create_queue(QueueName=self.name, Attributes=attributes, tags={TAG: TAG_VALUE})
        self._url = created["QueueUrl"]
        log.info("tap created", extra={"queue": self.name})

    def _attributes(self) -> Mapping[str, str]:
        answer: Any = self._sqs.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["QueueArn", "Policy"]
        )
        found: Mapping[str, str] = answer["Attributes"]
        return found

    def _check_tag(self) -> None:
        if not is_ours(self._sqs, self._url):
            raise NotOurs(
                f"the queue {self.name} exists, but was not created by Fanout (it has no tag "
                f"{TAG}={TAG_VALUE}): it is left alone; choose another name with TAP_NAME"
            )

    def _allow(self, policy: Mapping[str, Any]) -> None:
        try:
            self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        except ClientError as error:
            raise PolicyRefused(f"SNS may not send to the queue {self.name}: {error}") from error


class TapQueue(Queue):
    """The queue of a tap for pollers: read like any queue, as long as it is Fanout's."""

    def __init__(self, own: OwnQueue, sqs: "SQSClient", visibility_timeout_seconds: int) -> None:
        """Send no request yet."""
        super().__init__(sqs, own.name, visibility_timeout_seconds)
        self._own = own

    def check(self) -> None:
        """Return if it can be read; otherwise raise what boto3 raises, or NotReady."""
        self._own.wait_until_usable()
        super().check()

    def receive(
        self,
        wait_seconds: int = LONG_POLL_SECONDS,
        most: int = MAX_BATCH,
        attempt_id: str | None = None,
    ) -> list[Delivery]:
        """Receive like any queue. Raises NotReady as long as it cannot be read."""
        self._own.wait_until_usable()
        try:
            return super().receive(wait_seconds, most, attempt_id)
        except ClientError as error:
            if is_missing(error):
                self._own.is_gone.set()
            raise


def is_ours(sqs: "SQSClient", url: str) -> bool:
    """Return whether Fanout created this queue."""
    return sqs.list_queue_tags(QueueUrl=url).get("Tags", {}).get(TAG) == TAG_VALUE


def sending_policy(queue: Arn, patterns: Patterns) -> dict[str, Any]:
    """Return the queue policy that allows exactly the topics of these patterns to send.

    It holds the patterns, not the topics, so that it is in effect before a new topic is subscribed: SQS takes
    up to a minute to apply a change ("SetQueueAttributes", AWS), and messages are lost meanwhile.
    """

    def topics(names: Iterable[str]) -> list[str]:
        return [str(Arn(queue.partition, "sns", queue.region, queue.account, name)) for name in names]

    condition = {"ArnLike": {"aws:SourceArn": topics(patterns.included)}}
    if patterns.excluded:
        condition["ArnNotLike"] = {"aws:SourceArn": topics(patterns.excluded)}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": str(queue),
                "Condition": condition,
            }
        ],
    }


def _queue_arn(attributes: Mapping[str, str]) -> Arn:
    arn = parse_arn(attributes["QueueArn"])
    assert arn is not None
    return arn


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None

"""A system that is not ours, made by boto3 alone: topics, queues, filter policies, consumers that fail.

It is the same whenever it is made, so that what its consumers saw can be compared: with Fanout beside it, and
without.
"""

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.endpoint import (
    describe_queue,
    describe_subscription,
    list_queues,
    list_subscriptions,
    list_topics,
)
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.waiting import wait_for

TOPICS = (*(f"topic-{number}" for number in range(9)), *(f"topic-{number}.fifo" for number in range(9, 12)))
# Every operator, in the scope of attributes; the last two in that of the body.
POLICIES: tuple[Mapping[str, Any], ...] = (
    {},
    {"FilterPolicy": {"region": ["eu", "us"]}},
    {"FilterPolicy": {"region": [{"anything-but": ["us"]}]}},
    {"FilterPolicy": {"region": [{"suffix": "s"}]}},
    {"FilterPolicy": {"region": [{"prefix": "e"}]}},
    {"FilterPolicy": {"region": [{"anything-but": {"prefix": "u"}}]}},
    {"FilterPolicy": {"region": [{"equals-ignore-case": "EU"}]}},
    {"FilterPolicy": {"price": [{"numeric": [">", 3, "<=", 20]}]}},
    {"FilterPolicy": {"tenant": [{"exists": False}]}},
    {"FilterPolicy": {"tenant": [{"exists": True}]}},
    {"FilterPolicy": {"address": [{"cidr": "10.0.0.0/26"}]}},
    {"FilterPolicy": {"region": [{"wildcard": "*s*a"}]}},
    {"FilterPolicy": {"$or": [{"region": ["asia"]}, {"price": [{"numeric": ["=", 7]}]}]}},
    {"FilterPolicy": {"kind": ["order"]}, "FilterPolicyScope": "MessageBody"},
    {"FilterPolicy": {"lines": {"sku": [{"prefix": "A"}]}}, "FilterPolicyScope": "MessageBody"},
)
# LocalStack refuses "wildcard" (docs/filter-policies.md); this policy takes the same messages.
WITHOUT_WILDCARD: Mapping[str, Any] = {"FilterPolicy": {"region": [{"suffix": "sia"}]}}
QUEUES = 24  # and six dead-letter queues
DEAD_LETTER_QUEUES = 6
MAX_RECEIVE_COUNT = 3
GROUPS = 3
# In an envelope; the ARN names the account.
VOLATILE = (
    *("MessageId", "Timestamp", "Signature", "SigningCertURL", "UnsubscribeURL"),
    *("TopicArn", "SequenceNumber"),
)
SETTLING = ("Approximate", "LastModified")  # attributes of queues that change as messages flow


@dataclass
class Seen:
    """What the consumers of one queue received, in the order in which each group or message came."""

    by_key: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0


class SomebodyElse:
    """The whole system in the account that boto3 reaches."""

    def __init__(self) -> None:
        """Create topics, queues and subscriptions."""
        self.topics = [create_topic(name) for name in TOPICS]
        self._sns: Any = boto3.client("sns")
        self._sqs: Any = boto3.client("sqs", config=Config(max_pool_connections=2 * QUEUES))
        self.seen = {name: Seen() for name in self._create_queues()}
        self._stop = threading.Event()

    def _create_queues(self) -> Iterator[str]:
        dead = [create_queue(f"dead-{number}") for number in range(DEAD_LETTER_QUEUES)]
        for number in range(QUEUES):
            is_fifo = number % 4 == 3
            name = f"queue-{number}" + ".fifo" * is_fifo
            arn = create_queue(name)
            if not is_fifo and number % 4 == 0:
                redrive = {"deadLetterTargetArn": dead[number // 4], "maxReceiveCount": MAX_RECEIVE_COUNT}
                self._sqs.set_queue_attributes(
                    QueueUrl=self._url(name), Attributes={"RedrivePolicy": json.dumps(redrive)}
                )
            ours = [topic for topic in self.topics if topic.endswith(".fifo") == is_fifo]
            for place in range(2):
                topic = ours[(number // 2 + place) % len(ours)]
                policy = POLICIES[(number + 5 * place) % len(POLICIES)]
                _subscribe(topic, arn, policy, RawMessageDelivery=str(number % 3 != 0).lower())
            yield name

    def _url(self, name: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])

    # ---- what happens in it

    @contextlib.contextmanager
    def consuming(self) -> Iterator[None]:
        """Receive and delete from every queue; on queues with dead letters, some messages always fail."""
        with ThreadPoolExecutor(len(self.seen)) as threads:
            consumers = [threads.submit(self._consume, name) for name in self.seen]
            try:
                yield
            finally:
                self._stop.set()
        for consumer in consumers:
            consumer.result()

    def _consume(self, name: str) -> None:
        url, seen = self._url(name), self.seen[name]
        while not self._stop.is_set():
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=1,
                VisibilityTimeout=60,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )
            for message in answer.get("Messages", []):
                key, what, fails = _read(message)
                seen.by_key[key].append(what)
                seen.count += 1
                handle = message["ReceiptHandle"]
                if fails and _may_fail(name):
                    self._sqs.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
                    )
                else:
                    self._sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    def publish(self, count: int) -> None:
        """Publish so many messages, the same every time, to the topics in turn."""
        for number in range(count):
            topic = self.topics[number % len(self.topics)]
            attributes = {
                "region": {"DataType": "String", "StringValue": ("eu", "us", "EU", "asia")[number % 4]},
                "price": {"DataType": "Number", "StringValue": str(number % 25)},
                "address": {"DataType": "String", "StringValue": f"10.0.0.{number % 256}"},
            }
            if number % 5 == 0:
                attributes["tenant"] = {"DataType": "String", "StringValue": "acme"}
            body = json.dumps(
                {
                    "number": number,
                    "kind": ("order", "refund")[number % 2],
                    "lines": {"sku": f"{'AB'[number % 2]}-{number}"},
                    "fails": number % 40 == 7,
                    "topic": topic.rpartition(":")[2],
                }
            )
            fifo = {"MessageGroupId": f"g{number % GROUPS}", "MessageDeduplicationId": f"d{number}"}
            self._sns.publish(
                TopicArn=topic,
                Message=body,
                MessageAttributes=attributes,
                **(fifo if topic.endswith(".fifo") else {}),
            )

    def wait_until_drained(self) -> None:
        """Wait until every queue but those of dead letters is empty."""
        wait_for(self._is_drained, seconds=180, what="the end of all messages")

    def _is_drained(self) -> bool:
        found = [describe_queue(self._sqs, self._url(name)) for name in self.seen]
        return not any(one.visible + one.in_flight for one in found if one)

    # ---- what can be compared

    def dead(self) -> dict[str, int]:
        """Return how many messages each dead-letter queue holds."""
        found = {one.name: describe_queue(self._sqs, one.url) for one in list_queues(self._sqs, "dead-")}
        return {name: one.visible for name, one in found.items() if one}

    def everything(self) -> dict[str, dict[str, list[Any]]]:
        """Return what the consumers of each queue saw."""
        return {name: dict(seen.by_key) for name, seen in self.seen.items()}


def inventory() -> dict[str, Any]:
    """Return what exists on the endpoint, without what changes as messages flow."""
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    queues = {one.name: describe_queue(sqs, one.url) for one in list_queues(sqs)}
    subscriptions = list_subscriptions(sns)
    return {
        "topics": sorted(topic.name for topic in list_topics(sns)),
        "queues": {
            name: {k: v for k, v in one.attributes.items() if not k.startswith(SETTLING)}
            for name, one in queues.items()
            if one
        },
        "subscriptions": {
            one.arn: dict(details.attributes)
            for one in subscriptions
            for details in [describe_subscription(sns, one.arn)]
            if details
        },
    }


def _subscribe(topic: str, queue: str, policy: Mapping[str, Any], **attributes: str) -> None:
    try:
        subscribe(topic, queue, **attributes, **policy)
    except ClientError as error:
        if "wildcard" not in str(error):
            raise
        subscribe(topic, queue, **attributes, **WITHOUT_WILDCARD)


def _may_fail(name: str) -> bool:
    return not name.endswith(".fifo") and int(name.partition("-")[2]) % 4 == 0


def _read(message: Mapping[str, Any]) -> tuple[str, Any, bool]:
    """Return the group or the number of a message, everything that its consumer sees of it, and its wish."""
    body, system = json.loads(message["Body"]), message.get("Attributes", {})
    inner = json.loads(body["Message"]) if "Message" in body else body
    whole = {name: value for name, value in body.items() if name not in VOLATILE}
    what = [whole, message.get("MessageAttributes"), system.get("ApproximateReceiveCount")]
    group = system.get("MessageGroupId")
    key = f"{inner['topic']} {group}" if group else str(inner["number"])
    return key, what, bool(inner["fails"])

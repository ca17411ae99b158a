"""The dead-letter queue: how much lies in it, and sending it back (redrive).

AWS and LocalStack move messages themselves ("StartMessageMoveTask", AWS), but only all of them. A chosen few,
and all of them where the endpoint cannot, are received, sent and then deleted, one after the other: whatever
interrupts that leaves a message in one of the queues or in both, never in neither, and the store keeps one.
"""

import contextlib
import json
import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.aws import LARGEST_BATCH, queue_url
from pipeline.failures import FailureLog
from pipeline.message import ORIGINAL_ID, has_own_identity
from pipeline.retry import AWS_ERRORS

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

# Long enough to look through a large queue once; what was only looked at is shown again at the end.
HIDDEN_SECONDS = 120
MOST_ATTRIBUTES = 10  # "SendMessage", AWS
UNSUPPORTED = ("UnsupportedOperation", "InvalidAction", "UnknownOperationException", "NotImplemented")

log = logging.getLogger(__name__)


class NoDeadLetterQueue(Exception):
    """The queue has no redrive policy."""


class DeadLetterQueue:
    """The dead-letter queue of a queue. Methods raise what boto3 raises, and NoDeadLetterQueue."""

    def __init__(self, sqs: "SQSClient", queue_name: str, failures: FailureLog) -> None:
        """Ask nothing of AWS yet."""
        self._sqs, self._queue_name, self._failures = sqs, queue_name, failures

    def redrive_all(self) -> None:
        """Send everything in it back to the queue; where AWS does it, it goes on after this returns."""
        began = datetime.now(UTC)
        try:
            self._sqs.start_message_move_task(SourceArn=self._arn())
        except ClientError as error:
            if error.response["Error"]["Code"] not in UNSUPPORTED:
                raise
            self.redrive(None)
        else:
            self._failures.mark_redriven(None, began)
            log.info("redrive started")

    def redrive(self, message_ids: Collection[str] | None) -> list[str]:
        """Send the messages with these SQS ids back to the queue, or all; return the ids that were there."""
        source = queue_url(self._sqs, self._arn().rpartition(":")[2])
        target = queue_url(self._sqs, self._queue_name)
        moved: list[str] = []
        in_hand: list[MessageTypeDef] = []
        try:
            for batch in self._look_through(source):
                in_hand += batch
                for raw in batch:
                    if message_ids is None or raw["MessageId"] in message_ids:
                        self._move(raw, source, target)
                        in_hand.remove(raw)
                        moved.append(raw["MessageId"])
                if message_ids is not None and len(moved) >= len(set(message_ids)):
                    break
        finally:
            self._show_again(source, in_hand)
            log.info("redriven", extra={"messages": len(moved)})
        return moved

    def _arn(self) -> str:
        url = queue_url(self._sqs, self._queue_name)
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if not policy:
            raise NoDeadLetterQueue(f"queue {self._queue_name} has no redrive policy")
        return str(json.loads(policy)["deadLetterTargetArn"])

    def _look_through(self, source: str) -> "Iterator[list[MessageTypeDef]]":
        """Yield batches until the queue shows nothing that was not seen."""
        seen: set[str] = set()
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=source,
                MaxNumberOfMessages=LARGEST_BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            batch = [raw for raw in answer.get("Messages", []) if raw["MessageId"] not in seen]
            if not batch:
                return
            seen |= {raw["MessageId"] for raw in batch}
            yield batch

    def _move(self, raw: "MessageTypeDef", source: str, target: str) -> None:
        """Send, then delete: in this order nothing can be lost in between."""
        began = datetime.now(UTC)
        self._sqs.send_message(QueueUrl=target, MessageBody=raw["Body"], MessageAttributes=_attributes(raw))
        self._sqs.delete_message(QueueUrl=source, ReceiptHandle=raw["ReceiptHandle"])
        self._failures.mark_redriven([raw["MessageId"]], began)

    def _show_again(self, source: str, batch: "list[MessageTypeDef]") -> None:
        """Let what was only looked at be seen again; where that fails, its visibility timeout does it."""
        with contextlib.suppress(*AWS_ERRORS):
            for raw in batch:
                self._sqs.change_message_visibility(
                    QueueUrl=source, ReceiptHandle=raw["ReceiptHandle"], VisibilityTimeout=0
                )


def _attributes(raw: "MessageTypeDef") -> "dict[str, MessageAttributeValueTypeDef]":
    """Return what to send along: what came with it and, for a text, the id that SQS would replace."""
    attributes: dict[str, MessageAttributeValueTypeDef] = {}
    for name, value in raw.get("MessageAttributes", {}).items():
        kept = attributes[name] = {"DataType": value["DataType"]}
        if "BinaryValue" in value:
            kept["BinaryValue"] = value["BinaryValue"]
        else:
            kept["StringValue"] = value["StringValue"]
    if not has_own_identity(raw["Body"]) and len(attributes) < MOST_ATTRIBUTES:
        attributes.setdefault(ORIGINAL_ID, {"DataType": "String", "StringValue": raw["MessageId"]})
    return attributes

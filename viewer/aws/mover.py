"""Moving dead letters one by one: each is received, sent and then deleted; or only deleted.

If moving is interrupted, a message is in one of the queues or in both, and the store keeps one. The progress
is known only to this process, and ends with it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from pipeline.aws import MAX_BATCH, fifo_parameters, queue_url
from pipeline.fifo import is_fifo
from pipeline.message import ORIGINAL_ID, attribute_text, can_carry_original_id, has_own_identity
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store.dead_letters import FailureReader
from viewer.aws.queue_inspection import COUNTS

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

# Long enough to go through a large queue once; messages that were not chosen are made visible at the end.
HIDDEN_SECONDS = 120
UNSEEN: "tuple[QueueAttributeNameType, ...]" = COUNTS[1:]  # what a receive does not return

log = logging.getLogger(__name__)
STATUSES = ("running", "cancelling", "cancelled", "completed", "failed")


@dataclass(frozen=True, slots=True)
class Redrive:
    """The progress of a redrive: `moved` of about `total` messages.

    `to` is the queue that they go to; None: each to the one that it died in. `not_found` counts the selected
    ones that were not in the dead-letter queue. `reason` says why it failed, or why some were not found.
    """

    status: Annotated[str, Field(json_schema_extra={"enum": [*STATUSES]})]
    moved: int
    total: int
    started_at: datetime
    reason: str | None = None
    not_found: int = 0
    to: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether it is still running."""
        return self.status in ("running", "cancelling")


class LookThrough:
    """Receives all messages of a queue. What was not `taken` is visible again after the block."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        """Receive none yet."""
        self._sqs, self._url = sqs, url
        self._in_hand: list[MessageTypeDef] = []
        self.seen: set[str] = set()  # SQS ids

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Make messages visible that were not taken; if that fails, their visibility timeout does it."""
        with contextlib.suppress(*AWS_ERRORS):
            for raw in self._in_hand:
                self._sqs.change_message_visibility(
                    QueueUrl=self._url, ReceiptHandle=raw["ReceiptHandle"], VisibilityTimeout=0
                )

    def __iter__(self) -> "Iterator[MessageTypeDef]":
        """Yield messages until the queue returns no new ones."""
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MAX_BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                AttributeNames=["MessageGroupId"],
            )
            batch = [raw for raw in answer.get("Messages", []) if raw["MessageId"] not in self.seen]
            if not batch:
                return
            self._in_hand += batch
            self.seen |= {raw["MessageId"] for raw in batch}
            yield from batch

    def take(self, raw: "MessageTypeDef") -> None:
        """Delete a message that was yielded."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=raw["ReceiptHandle"])
        self._in_hand.remove(raw)

    @property
    def hidden(self) -> int:
        """How many messages it hides now."""
        return len(self._in_hand)


def delete_chosen(sqs: "SQSClient", queue: str, message_ids: Collection[str], seconds: float) -> set[str]:
    """Delete the messages with these SQS ids; return those that were found within so many seconds."""
    deleted: set[str] = set()
    deadline = time.monotonic() + seconds
    with LookThrough(sqs, queue_url(sqs, queue)) as found:
        for raw in found:
            if raw["MessageId"] in message_ids:
                found.take(raw)
                deleted.add(raw["MessageId"])
            if len(deleted) == len(message_ids) or time.monotonic() > deadline:
                break
    return deleted


class Mover:
    """Moves messages from one queue to another, one by one."""

    def __init__(
        self,
        sqs: "SQSClient",
        source_name: str,
        target_name: str,
        failures: FailureReader | None,
        *,
        message_ids: Collection[str] | None,
        per_second: int | None,
    ) -> None:
        """Take the names of the queues. Without `message_ids`, move as many messages as there are now.

        `failures` are those of this store if its consumer reads the target; else None, and messages stay as
        they are.
        """
        self._sqs, self._failures, self._target_name = sqs, failures, target_name
        self._source, self._target = queue_url(sqs, source_name), queue_url(sqs, target_name)
        self._chosen = None if message_ids is None else frozenset(message_ids)
        self._pause_seconds = 1 / per_second if per_second else 0
        self._cancelled = threading.Event()
        total = count_messages(sqs, self._source) if self._chosen is None else len(self._chosen)
        self.progress = Redrive("running", 0, total, datetime.now(UTC), to=target_name)

    def cancel(self) -> None:
        """Stop after the message in hand."""
        self._cancelled.set()
        self.progress = replace(self.progress, status="cancelling")

    def run(self) -> None:
        """Move the messages; `progress` says how it ended."""
        try:
            self._move_all()
        except Exception as error:
            log.exception("redrive failed")
            self.progress = replace(self.progress, status="failed", reason=explain(error))
        else:
            done = "cancelled" if self._cancelled.is_set() else "completed"
            self.progress = replace(self.progress, status=done)
        log.info("redriven", extra={"status": self.progress.status, "messages": self.progress.moved})

    def _move_all(self) -> None:
        with LookThrough(self._sqs, self._source) as found:
            for raw in found:
                # Messages that die again meanwhile are not moved again.
                if self._is_wanted(raw) and self.progress.moved < self.progress.total:
                    self._move(raw, found)
                    self._cancelled.wait(self._pause_seconds)
                if self._cancelled.is_set() or self._has_all_chosen:
                    return
            self._give_up_what_is_missing(found)

    def _is_wanted(self, raw: "MessageTypeDef") -> bool:
        return self._chosen is None or raw["MessageId"] in self._chosen

    @property
    def _has_all_chosen(self) -> bool:
        return self._chosen is not None and self.progress.moved == len(self._chosen)

    def _give_up_what_is_missing(self, found: LookThrough) -> None:
        """Record what is in neither queue as lost, and how many of the selected messages were not found."""
        missing = 0 if self._chosen is None else len(self._chosen) - self.progress.moved
        if count_messages(self._sqs, self._source, *UNSEEN) > found.hidden:
            reason = ", but other messages in it are in flight or delayed and cannot be seen: try again later"
        elif is_fifo(self._source) and count_messages(self._sqs, self._source, COUNTS[0]):
            reason = ", but SQS shows only the first ten of a message group: redrive those before them first"
        elif count_messages(self._sqs, self._target, "ApproximateNumberOfMessages"):
            # SQS moves a dead letter when a consumer asks for messages.
            reason = ", but SQS may not have moved all dead letters there yet"
        else:
            reason = ""
            if self._failures:
                self._failures.mark_absent(self._target_name, found.seen, self.progress.started_at)
        if missing:
            reason = f"{missing} not found in the dead-letter queue of {self._target_name}{reason}"
            self.progress = replace(self.progress, not_found=missing, reason=reason)

    def _move(self, raw: "MessageTypeDef", found: LookThrough) -> None:
        """Send, then delete: in this order none is lost if it is interrupted."""
        began = datetime.now(UTC)
        more: dict[str, Any] = {}
        if is_fifo(self._target_name):
            # With the deduplication id that it had, SQS might drop it, and it is deleted next. With this one,
            # SQS drops what it was sent before by a redrive that was interrupted before deleting.
            more = {**fifo_parameters(raw.get("Attributes", {}).get("MessageGroupId"), raw["MessageId"])}
        self._sqs.send_message(
            QueueUrl=self._target,
            MessageBody=raw["Body"],
            MessageAttributes=self._attributes(raw),
            **more,
        )
        found.take(raw)
        if self._failures:
            self._failures.mark_redriven(self._target_name, [raw["MessageId"]], began)
        self.progress = replace(self.progress, moved=self.progress.moved + 1)

    def _attributes(self, raw: "MessageTypeDef") -> "dict[str, MessageAttributeValueTypeDef]":
        """Return the attributes to send: its own and, for a text, the id that SQS will replace."""
        attributes = _own_attributes(raw)
        texts = {name: attribute_text(value) for name, value in attributes.items()}
        if not self._failures or has_own_identity(raw["Body"], texts):
            return attributes
        original_id = self._failures.redrives.begin(self._target_name, raw["MessageId"], raw["Body"], texts)
        if can_carry_original_id(raw["Body"], attributes):
            attributes[ORIGINAL_ID] = {"DataType": "String", "StringValue": original_id}
        return attributes


def count_messages(sqs: "SQSClient", url: str, *names: "QueueAttributeNameType") -> int:
    """Return about how many messages a queue holds."""
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or COUNTS))
    return sum(int(count) for count in answer.get("Attributes", {}).values())


def _own_attributes(raw: "MessageTypeDef") -> "dict[str, MessageAttributeValueTypeDef]":
    attributes: dict[str, MessageAttributeValueTypeDef] = {}
    for name, value in raw.get("MessageAttributes", {}).items():
        kept = attributes[name] = {"DataType": value["DataType"]}
        if "BinaryValue" in value:
            kept["BinaryValue"] = value["BinaryValue"]
        else:
            kept["StringValue"] = value["StringValue"]
    return attributes

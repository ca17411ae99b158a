"""Redriving: sending dead letters back to the queue.

AWS and LocalStack move messages themselves ("StartMessageMoveTask", AWS), but only all of them. Selected
ones, and all of them if the endpoint cannot move them, are received, sent and then deleted, one by one: if
that is interrupted, a message is in one of the queues or in both, and the store keeps one.

A redrive runs in the background, one at a time, and can be watched and cancelled. The progress of AWS is
known to every viewer; that of this process only here, and it ends with the process.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from botocore.exceptions import ClientError
from pydantic import Field

from pipeline.aws import MAX_BATCH, queue_url
from pipeline.message import ORIGINAL_ID, attribute_text, can_carry_original_id, has_own_identity
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain
from pipeline.store.dead_letters import FailureReader
from viewer.aws.fetching import FetchError
from viewer.aws.queue_inspection import COUNTS
from viewer.aws.reconciliation import Reconciler

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import (
        ListMessageMoveTasksResultEntryTypeDef,
        MessageAttributeValueTypeDef,
        MessageTypeDef,
    )

# Long enough to go through a large queue once; messages that were not chosen are made visible at the end.
HIDDEN_SECONDS = 120
MAX_PER_SECOND = 500  # "StartMessageMoveTask", AWS
UNSEEN: "tuple[QueueAttributeNameType, ...]" = COUNTS[1:]  # what a receive does not return
LOOK_SECONDS = 1.0  # between requests for the progress of AWS
UNSUPPORTED = ("UnsupportedOperation", "InvalidAction", "UnknownOperationException", "NotImplemented")

log = logging.getLogger(__name__)
STATUSES = ("running", "cancelling", "cancelled", "completed", "failed")


class NoDeadLetterQueue(Exception):
    """The queue has no redrive policy."""


class RedriveRefused(Exception):
    """Another redrive is running, or none is that could be cancelled."""


@dataclass(frozen=True, slots=True)
class Redrive:
    """The progress of a redrive: `moved` of about `total` messages.

    `not_found` counts the selected ones that were not in the dead-letter queue. `reason` says why it failed,
    or why some were not found.
    """

    status: Annotated[str, Field(json_schema_extra={"enum": [*STATUSES]})]
    moved: int
    total: int
    started_at: datetime
    reason: str | None = None
    not_found: int = 0

    @property
    def under_way(self) -> bool:
        """Whether it is still running."""
        return self.status in ("running", "cancelling")


class DeadLetterQueue:
    """The dead-letter queue of a queue. Methods raise what boto3 raises, and NoDeadLetterQueue."""

    def __init__(
        self, sqs: "SQSClient", queue_name: str, failures: FailureReader, reconciler: Reconciler
    ) -> None:
        """Send no request yet."""
        self._sqs, self.queue_name, self._failures = sqs, queue_name, failures
        self._reconciler = reconciler
        self._starting = threading.Lock()
        self._mover: Mover | None = None

    def waiting(self) -> tuple[str, int]:
        """Return its name, and about how many messages it holds."""
        name = self._arn().rpartition(":")[2]
        return name, _count(self._sqs, queue_url(self._sqs, name))

    def redrive(self, message_ids: Collection[str] | None = None, per_second: int | None = None) -> Redrive:
        """Begin to send the messages with these SQS ids back to the queue, or all; return the progress.

        `per_second` limits the rate. Raises RedriveRefused while another redrive is running.
        """
        with self._starting:
            progress = self.progress()
            if progress and progress.under_way:
                raise RedriveRefused("a redrive is running already")
            with contextlib.suppress(FetchError):
                self._reconciler.reconcile()
            if message_ids is None and (task := self._start_task(per_second)):
                self._mover = None
                return task
            self._mover = Mover(
                self._sqs,
                self._arn().rpartition(":")[2],
                self.queue_name,
                self._failures,
                message_ids=message_ids,
                per_second=per_second,
            )
            _in_background(self._mover.run)
            return self._mover.progress

    def progress(self) -> Redrive | None:
        """Return the progress of the redrive that is running, or of the last one that is known."""
        task = self._task()
        if self._mover and not (task and task.under_way):
            return self._mover.progress
        return task

    def cancel(self) -> Redrive:
        """Stop the redrive; return its progress. Raises RedriveRefused if none is running."""
        if self._mover and self._mover.progress.under_way:
            self._mover.cancel()
            return self._mover.progress
        entry = self._task_entry()
        if entry is None or "TaskHandle" not in entry:
            raise RedriveRefused("no redrive is running")
        self._sqs.cancel_message_move_task(TaskHandle=entry["TaskHandle"])
        return self.progress() or _redrive(entry)

    def _start_task(self, per_second: int | None) -> Redrive | None:
        """Let AWS move all messages; return None if the endpoint cannot."""
        began = datetime.now(UTC)
        self._failures.redrives.begin_all(self.queue_name)
        try:
            if per_second is None:
                self._sqs.start_message_move_task(SourceArn=self._arn())
            else:
                self._sqs.start_message_move_task(
                    SourceArn=self._arn(), MaxNumberOfMessagesPerSecond=per_second
                )
        except ClientError as error:
            if _is_unsupported(error):
                return None
            raise
        self._failures.mark_redriven(self.queue_name, None, began)
        _in_background(lambda: self._watch(began))
        return self._task() or Redrive("running", 0, 0, began)

    def _watch(self, began: datetime) -> None:
        """Wait until AWS has finished; if it did not move all messages, the rest are still dead."""
        try:
            while (task := self._task()) and task.under_way:
                time.sleep(LOOK_SECONDS)
            if task and (task.status != "completed" or not task.moved):
                self._failures.unmark_redriven(self.queue_name, began)
        except (*AWS_ERRORS, *DATABASE_ERRORS) as error:
            log.warning("the redrive is no longer watched", extra={"reason": explain(error)})
        else:
            log.info("redriven", extra={"status": task and task.status, "messages": task and task.moved})

    def _task(self) -> Redrive | None:
        entry = self._task_entry()
        return _redrive(entry) if entry else None

    def _task_entry(self) -> "ListMessageMoveTasksResultEntryTypeDef | None":
        """Return the newest task of AWS; None if there is none, or the endpoint has no tasks."""
        try:
            found = self._sqs.list_message_move_tasks(SourceArn=self._arn(), MaxResults=1)
        except ClientError as error:
            if _is_unsupported(error):
                return None
            raise
        return next(iter(found.get("Results", [])), None)

    def _arn(self) -> str:
        url = queue_url(self._sqs, self.queue_name)
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if not policy:
            raise NoDeadLetterQueue(f"queue {self.queue_name} has no redrive policy")
        return str(json.loads(policy)["deadLetterTargetArn"])


class Mover:
    """Moves messages from one queue to another, one by one."""

    def __init__(
        self,
        sqs: "SQSClient",
        source_name: str,
        target_name: str,
        failures: FailureReader,
        *,
        message_ids: Collection[str] | None,
        per_second: int | None,
    ) -> None:
        """Take the names of the queues. Without `message_ids`, move as many messages as there are now."""
        self._sqs, self._failures, self._target_name = sqs, failures, target_name
        self._source, self._target = queue_url(sqs, source_name), queue_url(sqs, target_name)
        self._chosen = None if message_ids is None else frozenset(message_ids)
        self._pause_seconds = 1 / per_second if per_second else 0
        self._cancelled = threading.Event()
        total = _count(sqs, self._source) if self._chosen is None else len(self._chosen)
        self.progress = Redrive("running", 0, total, datetime.now(UTC))

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
        in_hand: list[MessageTypeDef] = []
        seen: set[str] = set()
        try:
            for raw in self._look_through(in_hand, seen):
                # Messages that die again meanwhile are not moved again.
                if self._is_wanted(raw) and self.progress.moved < self.progress.total:
                    self._move(raw)
                    in_hand.remove(raw)
                    self._cancelled.wait(self._pause_seconds)
                if self._cancelled.is_set() or self._has_all_chosen:
                    return
            self._give_up_what_is_missing(seen, hidden_by_us=len(in_hand))
        finally:
            self._show_again(in_hand)

    def _is_wanted(self, raw: "MessageTypeDef") -> bool:
        return self._chosen is None or raw["MessageId"] in self._chosen

    @property
    def _has_all_chosen(self) -> bool:
        return self._chosen is not None and self.progress.moved == len(self._chosen)

    def _give_up_what_is_missing(self, seen: set[str], hidden_by_us: int) -> None:
        """Record what is in neither queue as lost, and how many of the selected messages were not found."""
        missing = 0 if self._chosen is None else len(self._chosen) - self.progress.moved
        if _count(self._sqs, self._source, *UNSEEN) > hidden_by_us:
            reason = ", but other messages in it are in flight or delayed and cannot be seen: try again later"
        elif _count(self._sqs, self._target, "ApproximateNumberOfMessages"):
            # SQS moves a dead letter when a consumer asks for messages.
            reason = ", but SQS may not have moved all dead letters there yet"
        else:
            reason = ""
            self._failures.mark_absent(self._target_name, seen, self.progress.started_at)
        if missing:
            reason = f"{missing} not found in the dead-letter queue of {self._target_name}{reason}"
            self.progress = replace(self.progress, not_found=missing, reason=reason)

    def _look_through(self, in_hand: "list[MessageTypeDef]", seen: set[str]) -> "Iterator[MessageTypeDef]":
        """Yield messages until the queue returns no new ones; add them to `in_hand` and `seen`."""
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=self._source,
                MaxNumberOfMessages=MAX_BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            batch = [raw for raw in answer.get("Messages", []) if raw["MessageId"] not in seen]
            if not batch:
                return
            in_hand += batch
            seen |= {raw["MessageId"] for raw in batch}
            yield from batch

    def _move(self, raw: "MessageTypeDef") -> None:
        """Send, then delete: in this order none is lost if it is interrupted."""
        began = datetime.now(UTC)
        self._sqs.send_message(
            QueueUrl=self._target, MessageBody=raw["Body"], MessageAttributes=self._attributes(raw)
        )
        self._sqs.delete_message(QueueUrl=self._source, ReceiptHandle=raw["ReceiptHandle"])
        self._failures.mark_redriven(self._target_name, [raw["MessageId"]], began)
        self.progress = replace(self.progress, moved=self.progress.moved + 1)

    def _attributes(self, raw: "MessageTypeDef") -> "dict[str, MessageAttributeValueTypeDef]":
        """Return the attributes to send: its own and, for a text, the id that SQS will replace."""
        attributes = _own_attributes(raw)
        texts = {name: attribute_text(value) for name, value in attributes.items()}
        if has_own_identity(raw["Body"], texts):
            return attributes
        original_id = self._failures.redrives.begin(self._target_name, raw["MessageId"], raw["Body"], texts)
        if can_carry_original_id(raw["Body"], attributes):
            attributes[ORIGINAL_ID] = {"DataType": "String", "StringValue": original_id}
        return attributes

    def _show_again(self, in_hand: "list[MessageTypeDef]") -> None:
        """Make messages visible that were not moved; if that fails, their visibility timeout does it."""
        with contextlib.suppress(*AWS_ERRORS):
            for raw in in_hand:
                self._sqs.change_message_visibility(
                    QueueUrl=self._source, ReceiptHandle=raw["ReceiptHandle"], VisibilityTimeout=0
                )


def _count(sqs: "SQSClient", url: str, *names: "QueueAttributeNameType") -> int:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or COUNTS))
    return sum(int(count) for count in answer.get("Attributes", {}).values())


def _in_background(call: Callable[[], None]) -> None:
    threading.Thread(name="redrive", target=call, daemon=True).start()


def _is_unsupported(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in UNSUPPORTED


def _redrive(entry: "ListMessageMoveTasksResultEntryTypeDef") -> Redrive:
    return Redrive(
        status=entry["Status"].lower(),
        moved=entry.get("ApproximateNumberOfMessagesMoved", 0),
        total=entry.get("ApproximateNumberOfMessagesToMove", 0),
        started_at=datetime.fromtimestamp(entry.get("StartedTimestamp", 0) / 1000, UTC),
        reason=entry.get("FailureReason"),
    )


def _own_attributes(raw: "MessageTypeDef") -> "dict[str, MessageAttributeValueTypeDef]":
    attributes: dict[str, MessageAttributeValueTypeDef] = {}
    for name, value in raw.get("MessageAttributes", {}).items():
        kept = attributes[name] = {"DataType": value["DataType"]}
        if "BinaryValue" in value:
            kept["BinaryValue"] = value["BinaryValue"]
        else:
            kept["StringValue"] = value["StringValue"]
    return attributes

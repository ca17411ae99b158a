"""Redriving: sending dead letters back to their queue.

AWS and LocalStack move messages themselves ("StartMessageMoveTask", AWS), but only all of them, and only
those that a queue gave up. Selected ones, and all if the endpoint cannot move them, are moved one by one. So
are those of FIFO queues: LocalStack 4.14.0 takes what it moves within five minutes for a duplicate of the
message that died, and drops it.

A redrive runs in the background, one at a time for each dead-letter queue, and can be watched and cancelled.
The progress of AWS is known to every viewer; that of this process only here, and it ends with the process.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.aws import queue_url
from pipeline.endpoint import Arn, parse_arn
from pipeline.fifo import is_fifo
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain
from pipeline.store.dead_letters import FailureReader
from viewer.aws.fetching import FetchError
from viewer.aws.mover import Mover, Redrive, count_messages, delete_chosen
from viewer.aws.reconciliation import Reconciler
from viewer.aws.topology import Topology

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef

MAX_PER_SECOND = 500  # "StartMessageMoveTask", AWS
MAX_AT_ONCE = 8  # of redrives that this process makes itself
DELETE_SECONDS = 20.0  # to find what should be deleted
LOOK_SECONDS = 1.0  # between requests for the progress of AWS
UNSUPPORTED = ("UnsupportedOperation", "InvalidAction", "UnknownOperationException", "NotImplemented")

log = logging.getLogger(__name__)


class NoDeadLetterQueue(Exception):
    """The queue has no redrive policy, or nothing gives up messages to it."""


class RedriveRefused(Exception):
    """Another redrive is running, none is that could be cancelled, or it is not known where to."""


@dataclass(frozen=True, slots=True)
class Way:
    """A dead-letter queue, and the queues that its messages belong to.

    It is `native` if all of them died in one of these, so that the endpoint may move them back itself; other
    messages come from subscriptions that could not deliver to these queues.
    """

    arn: Arn
    queues: Sequence[str]
    native: bool = True

    @property
    def name(self) -> str:
        """The name of the dead-letter queue."""
        return self.arn.name


@dataclass(frozen=True, slots=True)
class RedriveState:
    """The redrive that is running, or the last one, and about how many messages are `waiting` for one."""

    way: Way
    waiting: int
    redrive: Redrive | None


class DeadLetterQueue:
    """A dead-letter queue. Methods raise what boto3 raises, and NoDeadLetterQueue."""

    def __init__(
        self,
        sqs: "SQSClient",
        find: Callable[[], Way],
        failures: FailureReader,
        *,
        is_read: Callable[[str], bool],
        reconciler: Reconciler | None = None,
    ) -> None:
        """Send no request yet.

        `find` says where messages go; `is_read` whether a consumer of this store reads a queue: of others
        nothing is recorded, and their messages are not changed.
        """
        self._sqs, self._find, self._failures = sqs, find, failures
        self._is_read, self._reconciler = is_read, reconciler
        self._starting = threading.Lock()
        self._mover: Mover | None = None

    @property
    def is_moving(self) -> bool:
        """Whether this process is moving messages."""
        return self._mover is not None and self._mover.progress.under_way

    def state(self) -> RedriveState:
        """Return what there is to redrive, and how far that is."""
        way = self._find()
        return RedriveState(way, count_messages(self._sqs, queue_url(self._sqs, way.name)), self.progress())

    def redrive(
        self,
        message_ids: Collection[str] | None = None,
        per_second: int | None = None,
        to: str | None = None,
    ) -> Redrive:
        """Begin to send the messages with these SQS ids, or all, to their queue; return the progress.

        `to` names another queue; `per_second` limits the rate. Raises RedriveRefused while another redrive is
        running, and if it is not known which queue they belong to.
        """
        with self._starting:
            way = self._find()
            progress = self._progress(way)
            if progress and progress.under_way:
                raise RedriveRefused("a redrive is running already")
            if self._reconciler:
                with contextlib.suppress(FetchError):
                    self._reconciler.reconcile()
            if to == way.name:
                raise RedriveRefused(f"{to} is the dead-letter queue itself")
            can_be_native = message_ids is None and way.native and not is_fifo(way.name)
            if can_be_native and (task := self._start_task(way, per_second, to)):
                self._mover = None
                return task
            target = to or _only(way)
            self._mover = Mover(
                self._sqs,
                way.name,
                target,
                self._failures if self._is_read(target) else None,
                message_ids=message_ids,
                per_second=per_second,
            )
            _in_background(self._mover.run)
            return self._mover.progress

    def delete(self, message_ids: Collection[str]) -> int:
        """Delete the messages with these SQS ids for good, and what is known of them; return how many.

        Those are not found that somebody else has received. Raises RedriveRefused while a redrive is running.
        """
        with self._starting:
            way = self._find()
            progress = self._progress(way)
            if progress and progress.under_way:
                raise RedriveRefused("a redrive is running")
            deleted = delete_chosen(self._sqs, way.name, frozenset(message_ids), DELETE_SECONDS)
            self._failures.forget(deleted)
            log.info("dead letters deleted", extra={"queue": way.name, "messages": len(deleted)})
            return len(deleted)

    def progress(self) -> Redrive | None:
        """Return the progress of the redrive that is running, or of the last one that is known."""
        return self._progress(self._find())

    def cancel(self) -> Redrive:
        """Stop the redrive; return its progress. Raises RedriveRefused if none is running."""
        if self._mover and self.is_moving:
            self._mover.cancel()
            return self._mover.progress
        way = self._find()
        entry = self._task_entry(way)
        if entry is None or "TaskHandle" not in entry:
            raise RedriveRefused("no redrive is running")
        self._sqs.cancel_message_move_task(TaskHandle=entry["TaskHandle"])
        return self._progress(way) or _redrive(entry)

    def _progress(self, way: Way) -> Redrive | None:
        task = self._task(way)
        if self._mover and not (task and task.under_way):
            return self._mover.progress
        return task

    def _start_task(self, way: Way, per_second: int | None, to: str | None) -> Redrive | None:
        """Let AWS move all messages; return None if the endpoint cannot."""
        began = datetime.now(UTC)
        recorded = [queue for queue in ([to] if to else way.queues) if self._is_read(queue)]
        for queue in recorded:
            self._failures.redrives.begin_all(queue)
        more: dict[str, Any] = {} if per_second is None else {"MaxNumberOfMessagesPerSecond": per_second}
        if to:
            more["DestinationArn"] = self._arn_of(to)
        try:
            self._sqs.start_message_move_task(SourceArn=str(way.arn), **more)
        except ClientError as error:
            if _is_unsupported(error):
                return None
            raise
        for queue in recorded:
            self._failures.mark_redriven(queue, None, began)
        _in_background(lambda: self._watch(way, recorded, began))
        return self._task(way) or Redrive("running", 0, 0, began, to=to)

    def _watch(self, way: Way, recorded: Sequence[str], began: datetime) -> None:
        """Wait until AWS has finished; if it did not move all messages, the rest are still dead."""
        try:
            while (task := self._task(way)) and task.under_way:
                time.sleep(LOOK_SECONDS)
            if task and (task.status != "completed" or not task.moved):
                for queue in recorded:
                    self._failures.unmark_redriven(queue, began)
        except (*AWS_ERRORS, *DATABASE_ERRORS) as error:
            log.warning("the redrive is no longer watched", extra={"reason": explain(error)})
        else:
            log.info("redriven", extra={"status": task and task.status, "messages": task and task.moved})

    def _task(self, way: Way) -> Redrive | None:
        entry = self._task_entry(way)
        return _redrive(entry) if entry else None

    def _task_entry(self, way: Way) -> "ListMessageMoveTasksResultEntryTypeDef | None":
        """Return the newest task of AWS; None if there is none, or the endpoint has no tasks."""
        if not way.native:
            return None
        try:
            found = self._sqs.list_message_move_tasks(SourceArn=str(way.arn), MaxResults=1)
        except ClientError as error:
            if _is_unsupported(error):
                return None
            raise
        return next(iter(found.get("Results", [])), None)

    def _arn_of(self, queue: str) -> str:
        url = queue_url(self._sqs, queue)
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]


class DeadLetterQueues:
    """All dead-letter queues of the endpoint: that of the pipeline's own queue, and others by their names."""

    def __init__(
        self,
        sqs: "SQSClient",
        own: DeadLetterQueue,
        own_queue: str,
        failures: FailureReader,
        *,
        is_read: Callable[[str], bool],
        topology: Callable[[], Topology],
    ) -> None:
        """Send no request yet. `topology` returns what is known of the endpoint."""
        self.own, self._own_queue, self._sqs, self._failures = own, own_queue, sqs, failures
        self._is_read, self._topology = is_read, topology
        self._others: dict[str, DeadLetterQueue] = {}

    def named(self, name: str | None) -> DeadLetterQueue:
        """Return the one of this name, None for the pipeline's. Raises NoDeadLetterQueue."""
        if name is None or name == self._own_name():
            return self.own
        self._way(name)  # there is such a queue
        if name not in self._others:
            self._others[name] = DeadLetterQueue(
                self._sqs, lambda: self._way(name), self._failures, is_read=self._is_read
            )
        return self._others[name]

    def make_room(self) -> None:
        """Raise RedriveRefused if too many redrives are running here."""
        if sum(one.is_moving for one in (self.own, *self._others.values())) >= MAX_AT_ONCE:
            raise RedriveRefused(f"{MAX_AT_ONCE} redrives are running already")

    def _own_name(self) -> str | None:
        own = (one for one in self._topology().queues.values() if one.arn.name == self._own_queue)
        return next((_name(one.details.dead_letter_arn or "") for one in own if one.details), None)

    def _way(self, name: str) -> Way:
        topology = self._topology()
        arns: set[str] = set()
        died, undelivered = set(), set()
        for queue in topology.queues.values():
            arn = queue.details.dead_letter_arn if queue.details else None
            if arn and _name(arn) == name and queue.state == "known":
                arns.add(arn)
                died.add(queue.arn.name)
        for topic in topology.topics:
            for one in topic.subscriptions:
                arn = one.read.details.dead_letter_arn if one.read else None
                if arn and _name(arn) == name:
                    arns.add(arn)
                    undelivered |= {one.listed.queue.name} if one.listed.queue else set()
        found = parse_arn(next(iter(arns), ""))
        if found is None:
            raise NoDeadLetterQueue(f"nothing on this endpoint gives up messages to {name}")
        return Way(found, sorted(died | undelivered), native=bool(died))


def own_dead_letter_queue(
    sqs: "SQSClient", queue_name: str, failures: FailureReader, reconciler: Reconciler, **options: Any
) -> DeadLetterQueue:
    """Return the dead-letter queue of a queue that a consumer of this store reads."""
    options = {"is_read": lambda _: True, **options}

    def find() -> Way:
        url = queue_url(sqs, queue_name)
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        arn = parse_arn(str(json.loads(policy)["deadLetterTargetArn"])) if policy else None
        if arn is None:
            raise NoDeadLetterQueue(f"queue {queue_name} has no redrive policy")
        return Way(arn, [queue_name])

    return DeadLetterQueue(sqs, find, failures, reconciler=reconciler, **options)


def _only(way: Way) -> str:
    """Return the queue that all messages belong to."""
    if len(way.queues) == 1:
        return way.queues[0]
    several = f"the endpoint does not say which of {', '.join(way.queues)} a message died in"
    why = several if way.queues else "its messages come from no queue"
    raise RedriveRefused(f"{why}: say with to where they should go")


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


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
        to=_name(entry.get("DestinationArn", "")) or None,
    )

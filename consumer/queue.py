"""The queue: the consumer's only calls to SQS."""

import functools
import http.client
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumer.fast_sqs import FastSqs
from pipeline.aws import LONG_POLL_SECONDS, MAX_BATCH, queue_url
from pipeline.envelope import STRING, Publication
from pipeline.fifo import is_fifo
from pipeline.message import TEXT, Delivery, Message, attribute_text, message_from_body
from pipeline.ttl_cache import TtlCache

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

LIMIT_CACHE_SECONDS = 60.0
# "ReceiveMessage", AWS: what is said of a message besides its body and its attributes.
SYSTEM_ATTRIBUTES = (
    *("ApproximateReceiveCount", "SentTimestamp"),
    *("MessageGroupId", "MessageDeduplicationId", "SequenceNumber"),  # of FIFO queues
)
# What LocalStack says of an expired receipt handle of a FIFO queue, without calling it a fault of the sender.
INVALID_HANDLE = ("InvalidParameterValueException", "ReceiptHandleIsInvalid")
MAX_VISIBILITY_SECONDS = 43_200  # twelve hours after the receipt ("ChangeMessageVisibility", AWS)


class Queue:
    """An SQS queue, looked up by name. Methods raise what boto3 raises and do not retry."""

    def __init__(
        self, sqs: "SQSClient", name: str, visibility_timeout_seconds: int, topic_name: str | None = None
    ) -> None:
        """Store the client; no request is made yet.

        `topic_name` is the topic of messages that arrive without an envelope, if the queue has only one.
        """
        self.name = name
        self._topic_name = topic_name
        self.visibility_timeout_seconds = visibility_timeout_seconds
        self._sqs = sqs
        self._fast_sqs = FastSqs(sqs)
        self._known_url: str | None = None
        # After how many receipts SQS moves a message to the dead-letter queue; None for never. Raises what
        # boto3 raises.
        self.max_receive_count = TtlCache(self._read_max_receive_count, LIMIT_CACHE_SECONDS)

    @property
    def _url(self) -> str:
        if self._known_url is None:
            self._known_url = queue_url(self._sqs, self.name)
        return self._known_url

    def check(self) -> None:
        """Return if the queue exists; otherwise raise what boto3 raises."""
        self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])

    def _read_max_receive_count(self) -> int | None:
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order within message groups."""
        return is_fifo(self.name)

    def receiver(self, wait_seconds: int, most: int = MAX_BATCH) -> Callable[[], list[Delivery]]:
        """Return a call of `receive`, to be repeated as long as it raises.

        If a response is lost, the messages in it are hidden all the same, and in a FIFO queue their groups
        with them. A repeated request gets these messages ("ReceiveRequestAttemptId", AWS).
        """
        if not self.is_fifo:
            return functools.partial(self.receive, wait_seconds, most)
        attempt_id = str(uuid.uuid4())

        def receive() -> list[Delivery]:
            nonlocal attempt_id
            try:
                return self.receive(wait_seconds, most, attempt_id)
            except ClientError as error:
                if _is_refusal(error):
                    attempt_id = str(uuid.uuid4())
                raise

        return receive

    def receive(
        self,
        wait_seconds: int = LONG_POLL_SECONDS,
        most: int = MAX_BATCH,
        attempt_id: str | None = None,
    ) -> list[Delivery]:
        """Wait for messages and return up to `most`, hidden from other consumers for the visibility timeout.

        `most` is at most ten. `attempt_id` is for FIFO queues, see `receiver`.
        """
        parameters = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": most,
            "WaitTimeSeconds": wait_seconds,
            "VisibilityTimeout": self.visibility_timeout_seconds,
            "MessageSystemAttributeNames": SYSTEM_ATTRIBUTES,
            "MessageAttributeNames": ["All"],
        }
        if attempt_id:
            parameters["ReceiveRequestAttemptId"] = attempt_id
        answer = self._fast_sqs.call("ReceiveMessage", parameters)
        now = datetime.now(UTC)
        return [self._delivery(message, now) for message in answer.get("Messages", [])]

    def delete(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete up to ten messages; return those that were not deleted and are worth another request."""
        entries = [
            {"Id": str(place), "ReceiptHandle": delivery.receipt_handle}
            for place, delivery in enumerate(deliveries)
        ]
        answer = self._fast_sqs.call("DeleteMessageBatch", {"QueueUrl": self._url, "Entries": entries})
        return _worth_repeating(deliveries, answer.get("Failed", []))

    def hide(self, seconds: Mapping[Delivery, int]) -> list[Delivery]:
        """Make up to ten messages visible again after the given seconds, 0 for immediately, in this order.

        Returns those that were not changed and are worth another request.
        """
        deliveries = list(seconds)
        answer = self._sqs.change_message_visibility_batch(
            QueueUrl=self._url,
            Entries=[
                {
                    "Id": str(place),
                    "ReceiptHandle": delivery.receipt_handle,
                    "VisibilityTimeout": min(seconds[delivery], MAX_VISIBILITY_SECONDS),
                }
                for place, delivery in enumerate(deliveries)
            ],
        )
        return _worth_repeating(deliveries, answer.get("Failed", []))

    def _delivery(self, raw: "MessageTypeDef", received_at: datetime) -> Delivery:
        try:
            return self._read(raw, received_at)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are handled
            return self._unreadable(raw, received_at, error)

    def _read(self, raw: "MessageTypeDef", received_at: datetime) -> Delivery:
        system = raw.get("Attributes", {})
        sent = int(system.get("SentTimestamp", 0)) / 1000
        sent_at = datetime.fromtimestamp(sent, UTC) if sent else received_at
        attributes = raw.get("MessageAttributes", {})
        return Delivery(
            message=message_from_body(
                raw["Body"],
                text_id=raw["MessageId"],
                text_source=self._text_source,
                published=sent_at,
                attributes={name: attribute_text(value) for name, value in attributes.items()},
                publication=Publication(
                    topic=self._topic_name,
                    attribute_types={
                        name: value.get("DataType", STRING) for name, value in attributes.items()
                    },
                    group_id=system.get("MessageGroupId"),
                    deduplication_id=system.get("MessageDeduplicationId"),
                    sequence_number=system.get("SequenceNumber"),
                ),
            ),
            queue=self.name,
            message_id=raw["MessageId"],
            receipt_handle=raw["ReceiptHandle"],
            receive_count=int(system.get("ApproximateReceiveCount", 1)),
            sent_at=sent_at,
            received_at=received_at,
        )

    def _unreadable(self, raw: "MessageTypeDef", received_at: datetime, error: Exception) -> Delivery:
        body = str(raw.get("Body", ""))
        system = raw.get("Attributes", {})
        count = str(system.get("ApproximateReceiveCount", 1))
        publication = Publication(group_id=system.get("MessageGroupId"))
        return Delivery(
            message=Message(
                self._text_source, raw["MessageId"], TEXT, received_at, body, body, publication=publication
            ),
            queue=self.name,
            message_id=raw["MessageId"],
            receipt_handle=raw["ReceiptHandle"],
            receive_count=int(count) if count.isdecimal() else 1,
            sent_at=received_at,
            received_at=received_at,
            unreadable=error,
        )

    @property
    def _text_source(self) -> str:
        return f"/sqs/{self.name}"


def _worth_repeating(
    deliveries: Sequence[Delivery], failed: Sequence[Mapping[str, object]]
) -> list[Delivery]:
    """Return the deliveries whose entries failed through no fault of ours ("BatchResultErrorEntry", AWS).

    An invalid receipt handle stays invalid: the message was deleted, or has been received again.
    """
    return [
        deliveries[int(str(entry["Id"]))]
        for entry in failed
        if not entry.get("SenderFault") and entry.get("Code") not in INVALID_HANDLE
    ]


def _is_refusal(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status < http.client.INTERNAL_SERVER_ERROR

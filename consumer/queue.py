"""The queue: the consumer's only calls to SQS."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.aws import LARGEST_BATCH, LONG_POLL_SECONDS, queue_url
from pipeline.message import Delivery, attribute_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


class DeleteRefused(Exception):
    """SQS answered, but did not delete every message of the batch; it may if asked again."""


class Queue:
    """An SQS queue by name. Every method raises what boto3 raises."""

    def __init__(self, sqs: "SQSClient", name: str, visibility_timeout_seconds: int) -> None:
        """Keep the client; nothing is asked of AWS yet."""
        self.name = name
        self._sqs = sqs
        self._visibility_timeout_seconds = visibility_timeout_seconds
        self._known_url: str | None = None

    @property
    def _url(self) -> str:
        if self._known_url is None:
            self._known_url = queue_url(self._sqs, self.name)
        return self._known_url

    def check(self) -> None:
        """Return if the queue is there now."""
        self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])

    def receive(self, wait_seconds: int = LONG_POLL_SECONDS) -> list[Delivery]:
        """Return up to ten messages, waiting for the first; they stay hidden for the visibility timeout."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=LARGEST_BATCH,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self._visibility_timeout_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        now = datetime.now(UTC)
        return [_delivery(message, now) for message in answer.get("Messages", [])]

    def delete(self, deliveries: Sequence[Delivery]) -> None:
        """Delete up to ten messages; raises DeleteRefused if some of them were not."""
        answer = self._sqs.delete_message_batch(
            QueueUrl=self._url,
            Entries=[
                {"Id": str(i), "ReceiptHandle": delivery.receipt_handle}
                for i, delivery in enumerate(deliveries)
            ],
        )
        failed = answer.get("Failed", [])
        if failed:
            raise DeleteRefused(
                f"{len(failed)} not deleted: {failed[0]['Code']} {failed[0].get('Message', '')}"
            )


def _delivery(message: "MessageTypeDef", received_at: datetime) -> Delivery:
    system = message.get("Attributes", {})
    sent = int(system.get("SentTimestamp", 0)) / 1000
    return Delivery(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=datetime.fromtimestamp(sent, UTC) if sent else received_at,
        received_at=received_at,
        attributes={
            name: attribute_text(value) for name, value in message.get("MessageAttributes", {}).items()
        },
    )

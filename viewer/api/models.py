"""What the resources share: types of parameters, the search, and what the API shows of a message.

Requests are pydantic models, which check what is sent. Answers are dataclasses: pydantic describes them, but
does not check them, because they are made here. Those that hold a part of a message are made by `Views` only.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError

from pipeline.search.grammar import MAX_SEARCH_LENGTH, parse_search
from pipeline.search.sql import STATUSES, Search, equal, published
from pipeline.store.dead_letters import LostReason, Outcome
from pipeline.store.reader import MAX_SEQ
from viewer.api import examples
from viewer.api.checks import Described, Parameters

MAX_SEQS = 200

AnswerType = TypeVar("AnswerType")

# ---- types of parameters


def _only_digits(value: object) -> object:
    # int() alone would accept " 1_0 " and digits of other scripts.
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,19}", value):
        raise PydanticKnownError("int_parsing")
    return value


def _time(value: object) -> object:
    try:
        # In a query string an unescaped + means a space.
        parsed = datetime.fromisoformat(str(value).replace(" ", "+"))
        # PostgreSQL accepts no offset beyond 15:59.
        found = parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise PydanticKnownError("datetime_parsing", {"error": "no RFC 3339 time"})
    return found


def _flag(value: object) -> object:
    # bool() alone would accept "on", "YES" and more.
    if isinstance(value, str) and value not in ("0", "1", "false", "true"):
        raise PydanticKnownError("bool_parsing")
    return value


def _seqs(text: object) -> list[int]:
    if not re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", str(text)) or str(text).count(",") >= MAX_SEQS:
        raise ValueError(f"seqs should be up to {MAX_SEQS} numbers, such as 1034,1035")
    return [int(seq) for seq in str(text).split(",")]


def _search(value: object, checked: ValidationInfo) -> Search:
    # Without the application's mask there is no search: one that was forgotten must not mean none.
    context = checked.context or {}
    return parse_search(str(value), datetime.now(UTC), context["mask"])


# The type of a parameter that may be left out, which is not the same as sending null.
Absent: TypeAlias = SkipJsonSchema[None]
# For whole numbers in a query, after the limits of the number.
DIGITS = BeforeValidator(_only_digits)
Seq = Annotated[int, Field(ge=0, le=MAX_SEQ)]
Seqs = Annotated[list[int], PlainValidator(_seqs), WithJsonSchema({"type": "string"})]
Cursor = Annotated[Seq, DIGITS]
Time = Annotated[datetime, BeforeValidator(_time)]
Flag = Annotated[bool, BeforeValidator(_flag)]
# "CreateQueue", AWS.
QueueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}(\.fifo)?$", max_length=80)]
Query = Annotated[
    Search,
    PlainValidator(_search),
    WithJsonSchema({"type": "string", "maxLength": MAX_SEARCH_LENGTH}),
]


class SearchQuery(Parameters):
    """Which messages."""

    q: Query = Field(
        default_factory=Search,
        description='the search, as on the page: words, "a phrase", `type:…`, `status:dead`, '
        "`data.order.id:42`, `-not`, `a OR b`, `(a OR b) -(c d)`",
    )
    source: str | Absent = Field(None, description="exactly this source")
    type: str | Absent = Field(None, description="exactly this type")
    topic: str | Absent = Field(None, description="exactly this SNS topic")
    queue: str | Absent = Field(None, description="exactly this SQS queue")
    since: Time | Absent = Field(None, description="sent at this time or later")
    until: Time | Absent = Field(None, description="sent before this time")

    @property
    def search(self) -> Search:
        """All of it as one search."""
        found = self.q
        for name in ("source", "type", "topic", "queue"):
            if (value := getattr(self, name)) is not None:
                found &= equal(name, value)
        return found & published(since=self.since, until=self.until)


# ---- answers


@dataclass(slots=True)
class Accepted(Generic[AnswerType]):
    """An answer with status 202: what it says has begun."""

    answer: AnswerType


class ProblemDocument(Described):
    """An error (RFC 9457). `parameter` names the parameter or the member of the body that is wrong."""

    title: str
    status: int
    detail: str
    parameter: str | Absent = None

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "title": "Bad Request",
                "status": 400,
                "detail": "limit should be a whole number from 1 to 500",
                "parameter": "limit",
            }
        }
    )


TYPES = "`String`, `Number`, `Binary`, `String.Array`, by the attributes' names; null: unknown"
FIFO = "of a FIFO topic or queue; null: none, or unknown"
Count = Annotated[int, Field(ge=0)]
SqsId = Annotated[str, Field(description="the id that SQS gave it")]
Color = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]
Status = Annotated[str, Field(json_schema_extra={"enum": [*STATUSES]})]


@dataclass(slots=True)
class MessageSummary:
    """A message in a list or in the stream."""

    seq: Annotated[Seq, Field(description="its place in the store")]
    source: str
    id: str
    type: str
    time: Annotated[datetime, Field(description="when SNS or SQS took it")]
    event_time: Annotated[datetime | None, Field(description="the time that it states itself")]
    preview: Annotated[
        str, Field(description="the first characters of its text, or what happened according to its format")
    ]
    color: Annotated[Color | None, Field(description="`color` in its data")]
    sequence: Annotated[int | None, Field(description="`sequence` in its data")]
    size: Annotated[
        Count | None,
        Field(description="bytes; with REDACT those of the masked body, and null in lists"),
    ]
    receive_count: Annotated[Count, Field(description="of the delivery that stored it")]
    stored_at: datetime
    latency_seconds: Annotated[float, Field(description="from `time` to stored")]
    since_previous_seconds: Annotated[
        float | None, Field(description="since `time` of the message stored before it; may be negative")
    ]
    tries: Annotated[Count, Field(description="how often it was received")]
    status: Annotated[Status | None, Field(description="null: it succeeded at the first try")]
    conflict_of: Annotated[
        Seq | None, Field(description="an earlier message with this source and id, but another body")
    ]
    queue: Annotated[str, Field(description="the SQS queue that brought it")]
    topic: Annotated[str | None, Field(description="the SNS topic; null: unknown")]
    subject: Annotated[str | None, Field(description="of its SNS notification; null: none, or unknown")]


@dataclass(slots=True)
class NearMiss:
    """A message that does not match, the first condition that it does not meet, and how it fails to."""

    failed: str
    actual: Annotated[str, Field(description="what the message has instead, in a few words")]
    message: MessageSummary


@dataclass(slots=True)
class StoringDelivery:
    """The delivery that stored a message."""

    message_id: SqsId
    receive_count: Count
    sent_at: datetime
    received_at: datetime
    stored_at: datetime


@dataclass(slots=True)
class WholeMessage(MessageSummary):
    """A message with its payload."""

    data: Annotated[Any, Field(description="its payload, as JSON or as text; null if it is binary")]
    data_base64: Annotated[str | None, Field(description="its payload in base64 if it is binary")]
    body: Annotated[str, Field(description="as it was published")]
    attributes: Annotated[dict[str, str], Field(description="message attributes; binary ones in base64")]
    attribute_types: Annotated[dict[str, str] | None, Field(description=TYPES)]
    topic_arn: Annotated[str | None, Field(description="null: unknown, as with raw delivery")]
    sns_message_id: Annotated[str | None, Field(description="the id that SNS gave it; null: unknown")]
    group_id: Annotated[str | None, Field(description=FIFO)]
    deduplication_id: Annotated[str | None, Field(description=FIFO)]
    sequence_number: Annotated[str | None, Field(description=FIFO)]


@dataclass(slots=True)
class ExportedMessage(WholeMessage):
    """A line of an export."""

    deliveries: list[StoringDelivery]


@dataclass(slots=True)
class Delivery:
    """One receipt of a message from SQS and its result."""

    message_id: SqsId
    receive_count: Count
    sent_at: datetime
    received_at: datetime
    stored_at: datetime | None
    duplicate: Annotated[bool, Field(description="it was stored already, and had not failed")]
    failed_at: datetime | None
    error_type: str | None
    error: str | None


@dataclass(slots=True)
class Original:
    """The message that another one is a copy of, and where it is now: in the store, or a dead letter."""

    source: str
    id: str
    seq: Seq | None
    dead_letter: SqsId | None


@dataclass(slots=True)
class CopyLinks:
    """How a message and its copies refer to each other."""

    copy_of: Original | None
    copies: Annotated[list[Seq], Field(description="the newest copies that are stored")]
    conflicts: Annotated[list[Seq], Field(description="the newest with this source and id, but another body")]


@dataclass(slots=True)
class MessageDetail(WholeMessage):
    """A message with all that is known of it."""

    deliveries: Annotated[list[Delivery], Field(description="oldest first")]
    outcomes: Annotated[list[Outcome], Field(description="empty if it never failed")]
    copy_of: Original | None
    copies: Annotated[list[Seq], Field(description="the newest copies that are stored")]
    conflicts: Annotated[list[Seq], Field(description="the newest with this source and id, but another body")]
    is_event: Annotated[bool, Field(description="a CloudEvent: a copy can have an id of its own")]
    has_own_id: Annotated[bool, Field(description="sent again exactly, it is the same message")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.MESSAGE_DETAIL})


@dataclass(slots=True)
class DeadLetter:
    """A message that failed, with the reason: in the dead-letter queue, or lost."""

    queue: str
    message_id: SqsId
    source: str
    id: str
    type: str
    time: datetime
    preview: str
    error_type: str
    error: str
    traceback: str
    tries: Count
    first_failed_at: datetime
    last_failed_at: datetime
    dead_at: Annotated[datetime | None, Field(description="null: it was lost with attempts left")]
    redriven_at: Annotated[datetime | None, Field(description="when it was last sent back to the queue")]
    status: Annotated[
        Literal["dead", "lost"],
        Field(description="dead: it is in the dead-letter queue; lost: it is in neither queue any more"),
    ]
    lost_at: Annotated[datetime | None, Field(description="when it was noticed that it is lost")]
    lost_reason: Annotated[
        LostReason | None,
        Field(
            description="queue: the queues were created anew; retention: SQS deleted it at the end of its "
            "retention period; missing: it was deleted, purged or received by somebody else"
        ),
    ]
    copy_succeeded_at: Annotated[
        datetime | None,
        Field(description="when the same source, id and body last succeeded under another SQS id"),
    ]


@dataclass(slots=True)
class DeadLetterDetail(DeadLetter):
    """A whole dead letter."""

    event_time: Annotated[datetime | None, Field(description="the time that it states itself")]
    body: Annotated[str, Field(description="as it was published")]
    attributes: dict[str, str]
    attribute_types: Annotated[dict[str, str] | None, Field(description=TYPES)]
    topic_arn: Annotated[str | None, Field(description="null: unknown, as with raw delivery")]
    topic: Annotated[str | None, Field(description="the SNS topic; null: unknown")]
    subject: Annotated[str | None, Field(description="of its SNS notification; null: none, or unknown")]
    sns_message_id: Annotated[str | None, Field(description="the id that SNS gave it; null: unknown")]
    group_id: Annotated[str | None, Field(description=FIFO)]
    deduplication_id: Annotated[str | None, Field(description=FIFO)]
    sequence_number: Annotated[str | None, Field(description=FIFO)]
    copy_of: Original | None
    copies: Annotated[list[Seq], Field(description="the newest copies that are stored")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.DEAD_LETTER_DETAIL})


@dataclass(slots=True)
class FacetValue:
    """How many messages have a value."""

    value: str
    count: Count


@dataclass(slots=True)
class WaitingMessage:
    """A message in the queue."""

    message_id: SqsId
    state: Literal["visible", "in flight", "delayed"]
    receive_count: Count
    sent_at: datetime | None
    body: Annotated[str, Field(description="its first characters")]
    attributes: dict[str, str]
    size: Annotated[Count, Field(description="bytes of the whole body")]

"""The consumer's settings, read from environment variables."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from consumer.faults import parse_faults
from pipeline.aws import LONG_POLL_SECONDS
from pipeline.fifo import check_delivery
from pipeline.settings import DatabaseSettings, RedactionSettings, ResourceName, StandardName
from pipeline.watching import Patterns, parse_patterns

# SQS gets this long to answer after the wait of a poll has ended; a turn of the poller may take longer.
ANSWER_SECONDS = 5
MIN_STALL_BEYOND_POLL_SECONDS = 2 * ANSWER_SECONDS


class ConsumerSettings(DatabaseSettings, RedactionSettings):
    """The queue to consume, the database to store in, and how messages are handled."""

    queue_name: ResourceName = Field(
        "broadcasts-consumer",
        description="SQS queue of the consumer; a FIFO queue if it ends with `.fifo`",
    )
    topic_name: ResourceName | None = Field(
        None, description="SNS topic of the queue if it has only one: envelopes name theirs themselves"
    )
    pollers: Annotated[int, Field(ge=1, le=100)] = Field(4, description="number of concurrent poll loops")
    wait_time_seconds: Annotated[int, Field(ge=0, le=20)] = Field(
        LONG_POLL_SECONDS, description="seconds that a poll waits for messages"
    )
    visibility_timeout_seconds: Annotated[int, Field(ge=2, le=43_200)] = Field(
        30,
        description="seconds that a received message is hidden from other consumers; extended while handled",
    )
    retry_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        1, description="seconds until a failed message is retried; doubled with every attempt"
    )
    handler: str = Field(
        "store",
        description="handlers of a message, in order: `store` or `package.module:callable`, comma-separated",
    )
    retention_messages: Annotated[int, Field(ge=1)] = Field(
        100_000, description="number of messages kept in the store; older ones are removed"
    )
    watch: str = Field(
        "",
        description="topics to watch, by patterns of their names: `*`, `orders-*,payments`, `*,!internal-*`; "
        "unset: none",
    )
    tap_name: StandardName = Field(
        "fanout-tap", description="SQS queue that is created and subscribed to the topics of `WATCH`"
    )
    watch_only: bool = Field(
        False, description="`1` reads only the topics of `WATCH`, and leaves `QUEUE_NAME` to another consumer"
    )
    faults: str = Field(
        "", description="failures to inject, such as `fail=0.1,flaky=0.2,delay=0.5,delay_seconds=2`"
    )

    @field_validator("handler")
    @classmethod
    def _check_handler(cls, value: str) -> str:
        for name in value.split(","):
            module, colon, attribute = name.strip().partition(":")
            if name.strip() != "store" and not (module and colon and attribute.isidentifier()):
                raise ValueError(f"{name.strip()!r} is neither store nor package.module:callable")
        return value

    @field_validator("watch")
    @classmethod
    def _check_watch(cls, value: str) -> str:
        if value:
            parse_patterns(value)
        return value

    @field_validator("faults")
    @classmethod
    def _check_faults(cls, value: str) -> str:
        parse_faults(value)
        return value

    @property
    def patterns(self) -> Patterns | None:
        """The patterns of WATCH, or None if nothing is watched."""
        return parse_patterns(self.watch) if self.watch else None

    @model_validator(mode="after")
    def _the_tap_is_a_queue_of_its_own(self) -> "ConsumerSettings":
        if self.watch_only and not self.watch:
            raise ValueError("WATCH_ONLY=1 is not allowed: WATCH is not set, so that nothing would be read")
        if self.watch and not self.watch_only and self.tap_name == self.queue_name:
            raise ValueError(f"TAP_NAME={self.tap_name!r} is not allowed: QUEUE_NAME is the same")
        return self

    @model_validator(mode="after")
    def _the_topic_delivers_to_the_queue(self) -> "ConsumerSettings":
        if self.topic_name:
            check_delivery(self.topic_name, self.queue_name)
        return self

    @model_validator(mode="after")
    def _stall_outlasts_a_poll(self) -> "ConsumerSettings":
        minimum = self.wait_time_seconds + MIN_STALL_BEYOND_POLL_SECONDS
        if self.stall_seconds < minimum:
            raise ValueError(
                f"STALL_SECONDS={self.stall_seconds:g} is not allowed: with WAIT_TIME_SECONDS="
                f"{self.wait_time_seconds} it should be at least {minimum}, or a long poll counts as a stall"
            )
        return self

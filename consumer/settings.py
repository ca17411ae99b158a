"""The consumer's settings, read from environment variables."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from consumer.faults import parse_faults
from pipeline.aws import LONG_POLL_SECONDS
from pipeline.settings import DatabaseSettings, ResourceName

# A poll may take this long beyond its own wait, and a poller somewhat longer to complete a turn.
ANSWER_SECONDS = 5
MIN_STALL_BEYOND_POLL_SECONDS = 2 * ANSWER_SECONDS


class ConsumerSettings(DatabaseSettings):
    """The queue, the database, and what to do with each message."""

    queue_name: ResourceName = Field("broadcasts-consumer", description="SQS queue to consume")
    pollers: Annotated[int, Field(ge=1, le=100)] = Field(4, description="poll loops side by side")
    wait_time_seconds: Annotated[int, Field(ge=0, le=20)] = Field(
        LONG_POLL_SECONDS, description="how long one poll waits for a message"
    )
    visibility_timeout_seconds: Annotated[int, Field(ge=2, le=43_200)] = Field(
        30, description="seconds a received message stays hidden from others; extended while it is handled"
    )
    retry_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        1, description="seconds until a failed message is tried again; doubled with every try"
    )
    handler: str = Field(
        "store",
        description="what handles messages: `store` or `package.module:callable`, or several with commas",
    )
    retention_messages: Annotated[int, Field(ge=1)] = Field(
        100_000, description="messages kept in the store; older ones are removed"
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

    @field_validator("faults")
    @classmethod
    def _check_faults(cls, value: str) -> str:
        parse_faults(value)
        return value

    @model_validator(mode="after")
    def _check_stall(self) -> "ConsumerSettings":
        least = self.wait_time_seconds + MIN_STALL_BEYOND_POLL_SECONDS
        if self.stall_seconds < least:
            raise ValueError(
                f"STALL_SECONDS={self.stall_seconds:g} is not allowed: a poll that waits WAIT_TIME_SECONDS="
                f"{self.wait_time_seconds} is no stall, so it should be at least {least}"
            )
        return self

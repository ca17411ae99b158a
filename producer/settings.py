"""The producer's settings, read from environment variables."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.fifo import is_fifo
from pipeline.settings import TopicSettings

Interval = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class ProducerSettings(TopicSettings):
    """A random interval between greetings, or a steady rate."""

    message: str = Field(
        # An SNS message has at most 256 KiB, and a character up to four bytes.
        "Hello world",
        min_length=1,
        max_length=60_000,
        description="text of each greeting",
    )
    min_interval_seconds: Interval = Field(1, description="minimum seconds between two greetings")
    max_interval_seconds: Interval = Field(10, description="maximum seconds between two greetings")
    rate_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        None, description="greetings per second; set it for a steady rate instead of random intervals"
    )

    message_groups: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="FIFO topic: number of message groups, which take turns; each keeps its order"
    )

    @model_validator(mode="after")
    def _has_groups_only_in_a_fifo_topic(self) -> "ProducerSettings":
        if self.message_groups > 1 and not is_fifo(self.topic_name):
            raise ValueError(
                f"MESSAGE_GROUPS={self.message_groups} is not allowed: TOPIC_NAME={self.topic_name!r} is not "
                "a FIFO topic"
            )
        return self

    @model_validator(mode="after")
    def _check_intervals(self) -> "ProducerSettings":
        if self.min_interval_seconds > self.max_interval_seconds:
            raise ValueError(
                f"MIN_INTERVAL_SECONDS={self.min_interval_seconds:g} is not allowed: "
                f"should not exceed MAX_INTERVAL_SECONDS={self.max_interval_seconds:g}"
            )
        return self

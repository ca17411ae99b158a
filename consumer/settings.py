"""What the consumer is told by its environment."""

from typing import Annotated

from pydantic import Field

from pipeline.settings import DatabaseSettings, ResourceName


class ConsumerSettings(DatabaseSettings):
    """One queue, one database."""

    queue_name: ResourceName = Field("broadcasts-consumer", description="SQS queue to consume")
    visibility_timeout_seconds: Annotated[int, Field(ge=1, le=43_200)] = Field(
        30, description="seconds a received message stays hidden from other consumers"
    )

"""What the viewer is told by its environment."""

from typing import Annotated

from pydantic import Field

from pipeline.settings import DatabaseSettings, TopicSettings


class ViewerSettings(DatabaseSettings, TopicSettings):
    """One database to show, one topic to publish to."""

    max_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        10_000, description="browsers and API clients served at once; an open stream is one"
    )

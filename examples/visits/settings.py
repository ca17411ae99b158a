"""The settings of the HTTP service, read from environment variables."""

from pydantic import Field

from examples.visits.views import TOPIC
from pipeline.settings import DatabaseSettings, ResourceName


class WebSettings(DatabaseSettings):
    """The topic to publish to, and the database with the numbers."""

    topic_name: ResourceName = Field(TOPIC, description="SNS topic that views are published to")

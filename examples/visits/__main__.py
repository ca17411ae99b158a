"""The wiring of the HTTP service."""

from typing import Any

from examples.serving import beat_for_ever, serve
from examples.visits.settings import WebSettings
from pipeline.settings import load_settings

AWS_SECONDS = 2


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load_settings(WebSettings)

    def load_app() -> Any:
        from examples.visits.counts import Visits
        from examples.visits.web import create_app
        from pipeline.aws import Topic, sns_client
        from pipeline.health import Health
        from pipeline.store.migrate import open_database

        topic = Topic(sns_client(AWS_SECONDS), settings.topic_name)
        visits = Visits(open_database(settings.database_url.get_secret_value()))
        health = Health(settings.stall_seconds, {"aws": topic.check, "database": visits.check})
        beat_for_ever(lambda: health.beat("threads"))
        return create_app(topic, visits, health)

    serve("visits", settings, load_app)


if __name__ == "__main__":
    main()

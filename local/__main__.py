"""`make run`: starts everything on loopback, prints the logs, and stops everything together."""

import sys

from local.emulators import aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process
from local.settings import RunSettings
from local.system import Environment, Service, System, run_system
from pipeline.settings import load_settings
from pipeline.watching import ALL


class WholeSystem(System):
    """The three services, an emulator and PostgreSQL."""

    def __init__(self, settings: RunSettings) -> None:
        """Start nothing yet."""
        self._settings = settings
        services = {
            "viewer": Service("viewer", settings.viewer_port),
            "consumer": Service("consumer", settings.consumer_port),
            "producer": Service("producer", settings.producer_port),
        }
        # The consumer cannot tell the topic of its own queue by itself.
        defaults = {"TOPIC_NAME": "broadcasts", "WATCH": ALL}
        super().__init__(settings, settings.run_folder, services, defaults)

    def start_dependencies(self, started: list[Process]) -> Environment:
        """Start PostgreSQL and the emulator, and create the AWS resources."""
        settings = self._settings
        environment = aws_environment(settings.aws_port)
        postgres = Postgres(self.run_folder / "postgres")
        started.append(postgres.start())
        started.append(start_emulator(settings.emulator, settings.aws_port, self.run_folder / "aws"))
        create_resources(environment)
        return {**environment, "DATABASE_URL": postgres.create_role()}

    def welcome(self, environment: Environment) -> str:
        """Return the addresses of everything."""
        page = self.page
        return f"""
  Fanout is running ({self._settings.emulator}).

  See the messages   {page}
  Publish one        curl {page}/api/messages -H 'Content-Type: application/json' -d '{{"text":"hi"}}'
  AWS                aws --endpoint-url {environment["AWS_ENDPOINT_URL"]} --region us-east-1 sns list-topics
                     (accepts any keys: AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test)
                     A topic that you create there shows up with its messages.
  Database           {environment["DATABASE_URL"]}
  Logs and data      {self.run_folder}/ (delete it to start afresh)
  Stop               Ctrl-C
"""

    def clean_up(self, environment: Environment) -> None:
        """Do nothing: the emulator forgets everything."""


def main() -> int:
    """Run until Ctrl-C or SIGTERM (returns 0), or until a process exits by itself (returns 1)."""
    return run_system(WholeSystem(load_settings(RunSettings)))


if __name__ == "__main__":
    sys.exit(main())

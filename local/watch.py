"""`make watch`: shows every topic of an endpoint of one's own, and leaves nothing behind there.

The endpoint is what the environment names: AWS_ENDPOINT_URL for an emulator, else AWS itself, by profile or
keys. Started here are only PostgreSQL, the consumer and the viewer.
"""

import os
import subprocess
import sys

import boto3

from local.postgres import Postgres
from local.process import NotReady, Process, python_module
from local.settings import WatchSettings
from local.system import Environment, Service, System, print_line, run_system
from pipeline.aws import sns_client
from pipeline.endpoint import ListedTopic, is_aws, list_topics
from pipeline.retry import AWS_ERRORS, explain
from pipeline.settings import load_settings
from pipeline.watching import parse_patterns

TIMEOUT_SECONDS = 5
MAX_NAMED = 10
REMOVE_SECONDS = 60
# What emulators accept, where the environment names no keys.
EMULATOR_DEFAULTS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


class WatchedEndpoint(System):
    """PostgreSQL, the consumer on the tap alone, and the viewer."""

    def __init__(self, settings: WatchSettings) -> None:
        """Start nothing, and send no request yet."""
        self._settings = settings
        services = {
            "viewer": Service("viewer", settings.viewer_port),
            "consumer": Service("consumer", settings.consumer_port),
        }
        super().__init__(settings, settings.run_folder, services, defaults={})
        self._watched: list[ListedTopic] = []
        self._endpoint = ""

    def start_dependencies(self, started: list[Process]) -> Environment:
        """Start PostgreSQL. Raises NotReady if the endpoint does not tell its topics."""
        self._look()
        postgres = Postgres(self.run_folder / "postgres")
        started.append(postgres.start())
        return {
            "DATABASE_URL": postgres.create_role(),
            "WATCH": self._settings.watch,
            "WATCH_ONLY": "1",
            "TAP_NAME": self._settings.tap_name,
            "QUEUE_NAME": self._settings.tap_name,
        }

    def _look(self) -> None:
        sns = sns_client(TIMEOUT_SECONDS)
        self._endpoint = sns.meta.endpoint_url
        try:
            topics = list_topics(sns)
        except AWS_ERRORS as error:
            raise NotReady(f"the topics of {self._endpoint} cannot be listed: {explain(error)}") from None
        patterns = parse_patterns(self._settings.watch)
        self._watched = [topic for topic in topics if patterns.match(topic.name)]

    def welcome(self, environment: Environment) -> str:
        """Return what is watched, and where."""
        return f"""
  Fanout is watching {self._endpoint}{self._warning()}

  See the messages   {self.page}
  Topics             {self._topics()}
  Tap                {environment["TAP_NAME"]} (a queue of Fanout's own; your queues keep their messages)
  Logs and data      {self.run_folder}/ (delete it to start afresh)
  Stop               Ctrl-C, which removes the tap; after a crash: make unwatch
"""

    def _warning(self) -> str:
        if not is_aws(self._endpoint):
            return ""
        account = f", account {self._watched[0].arn.split(':')[4]}" if self._watched else ""
        return f"""

  THIS IS AWS ITSELF{account}: a queue is created there, and each message that a watched topic
  publishes costs a few requests to SQS (docs/watch.md)."""

    def _topics(self) -> str:
        names = sorted(topic.name for topic in self._watched)
        if not names:
            return f"none matches {self._settings.watch} yet; new ones are watched as they appear"
        more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        return f"{len(names):,} of WATCH={self._settings.watch}: {', '.join(names[:MAX_NAMED])}{more}"

    def clean_up(self, environment: Environment) -> None:
        """Remove the tap."""
        remove(environment["TAP_NAME"])


def main() -> int:
    """Watch until Ctrl-C or SIGTERM (returns 0), or until a process exits by itself (returns 1)."""
    settings = load_settings(WatchSettings)
    prepare_access()
    return run_system(WatchedEndpoint(settings))


def prepare_access() -> None:
    """Complete the AWS_* variables for an emulator. Exits with one line if no endpoint is named."""
    session = boto3.Session()
    has_keys = session.get_credentials() is not None
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SNS") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and not is_aws(endpoint):
        for name, value in EMULATOR_DEFAULTS.items():
            is_known = bool(session.region_name) if name == "AWS_REGION" else has_keys
            if not is_known and not os.environ.get(name):
                os.environ[name] = value
        boto3.setup_default_session()  # which has found no keys
    elif not has_keys:
        raise SystemExit(
            "what should be watched? AWS_ENDPOINT_URL=http://localhost:4566 make watch watches an emulator, "
            "AWS_PROFILE=… make watch an account of AWS"
        )


def remove(tap_name: str) -> int:
    """Remove the tap from the endpoint; return the exit status."""
    environment = {**os.environ, "TAP_NAME": tap_name}
    try:
        done = subprocess.run(
            python_module("consumer.untap"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=REMOVE_SECONDS,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        print_line(
            f"the tap {tap_name} could not be removed within {REMOVE_SECONDS} s: make unwatch removes it"
        )
        return 1
    print_line((done.stdout + done.stderr).strip())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

"""`make run`: starts everything on loopback, prints the logs, and stops everything together.

The services start after their dependencies (PostgreSQL and the emulator) and stop before them, so that each
can finish the messages it holds.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable

from local.emulators import answers_ok, aws_environment, create_resources, start_emulator
from local.lock import AlreadyRunning, hold
from local.postgres import Postgres
from local.process import NotReady, Process, python_module, stop_all
from local.settings import RunSettings
from pipeline.settings import load_settings
from pipeline.stopping import stop_on_signals

COLORS = {"producer": 36, "consumer": 33, "viewer": 35, "run": 32}
# Ctrl-C ends everything within five seconds.
SERVICE_STOP_SECONDS = 3.5
DEPENDENCY_STOP_SECONDS = 1.0


def main() -> int:
    """Run until Ctrl-C or SIGTERM (returns 0), or until a process exits by itself (returns 1)."""
    settings = load_settings(RunSettings)
    stop = stop_on_signals(second_ends=False)  # a second Ctrl-C would leave child processes running
    try:
        with hold(settings.run_folder):
            return _run(settings, stop)
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return 1


def _run(settings: RunSettings, stop: threading.Event) -> int:
    """Start everything, wait for the end, stop everything; return the exit status."""
    taken = [
        f"port {port} is taken: choose another with {name}=…"
        for name, port in settings.ports.items()
        if _is_taken(port)
    ]
    if taken:
        print("\n".join(taken), file=sys.stderr)
        return 1

    dependencies: list[Process] = []
    services: list[Process] = []
    try:
        environment = _start_dependencies(settings, dependencies)
        _start_services(settings, environment, services)
        _print_line(_welcome(settings, environment))
        ended = _wait_for_first_exit([*dependencies, *services], stop)
    except NotReady as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        stop_all(services, SERVICE_STOP_SECONDS)
        stop_all(dependencies, DEPENDENCY_STOP_SECONDS)
    if ended is not None:
        print(f"\nstopped everything because {ended.describe_end()}", file=sys.stderr)
        return 1
    return 0


def _start_dependencies(settings: RunSettings, started: list[Process]) -> dict[str, str]:
    """Start PostgreSQL and the emulator, create the AWS resources, return the services' settings for both."""
    environment = aws_environment(settings.aws_port)
    postgres = Postgres(settings.run_folder / "postgres")
    started.append(postgres.start())
    started.append(start_emulator(settings.emulator, settings.aws_port, settings.run_folder / "aws"))
    create_resources(environment)
    return {**environment, "DATABASE_URL": postgres.create_role()}


def _start_services(settings: RunSettings, environment: dict[str, str], started: list[Process]) -> None:
    """Start viewer, consumer and producer, and wait until the page answers."""
    ports = {
        "viewer": settings.viewer_port,
        "consumer": settings.consumer_port,
        "producer": settings.producer_port,
    }
    peers = ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in ports.items() if name != "viewer")
    for service, port in ports.items():
        started.append(
            Process(
                service,
                python_module(service),
                log_file=settings.run_folder / f"{service}.log",
                environment={
                    "LOG_FORMAT": "text",
                    "TOPIC_NAME": "broadcasts",  # which the consumer cannot tell by itself
                    **os.environ,
                    **environment,
                    "PORT": str(port),
                    "HOST": "127.0.0.1",
                    "PEERS": peers,
                },
                on_line=_printer(service),
            )
        )
    started[0].wait_until(lambda: answers_ok(f"{settings.page}/health?probe=readiness"), 30)
    for process in started:
        if process.exit_status is not None:
            raise NotReady(process.describe_end())


def _wait_for_first_exit(processes: list[Process], stop: threading.Event) -> Process | None:
    """Wait until a process exits and return it; return None once `stop` is set."""
    while not stop.wait(0.2):
        for process in processes:
            if process.exit_status is not None:
                return process
    return None


def _is_taken(port: int) -> bool:
    """Tell whether another program listens on this port or has bound it."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.settimeout(0.5)
            # Connect first: macOS lets us bind a port that AirPlay uses, and AirPlay then gets the requests.
            if probe.connect_ex((address, port)) == 0:
                return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _welcome(settings: RunSettings, environment: dict[str, str]) -> str:
    page = settings.page
    return f"""
  Fanout is running ({settings.emulator}).

  See the messages   {page}
  Publish one        curl {page}/api/messages -H 'Content-Type: application/json' -d '{{"text":"hi"}}'
  AWS                aws --endpoint-url {environment["AWS_ENDPOINT_URL"]} --region us-east-1 sns list-topics
                     (accepts any keys: AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test)
  Database           {environment["DATABASE_URL"]}
  Logs and data      {settings.run_folder}/ (delete it to start afresh)
  Stop               Ctrl-C
"""


def _printer(name: str) -> Callable[[str], None]:
    def show(line: str) -> None:
        # An open page and probes send requests all the time: these go to the log file only.
        if " INFO    GET /" not in line:
            _print_line(f"{_prefix(name)} {line}")

    return show


def _prefix(name: str) -> str:
    return f"\x1b[{COLORS[name]}m{name:<8}\x1b[0m" if sys.stdout.isatty() else f"{name:<8}"


def _print_line(text: str) -> None:
    # A single write, so that lines from different threads do not mix.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

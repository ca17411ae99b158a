"""Services with what they depend on: started in order, watched, and stopped together.

The services start after their dependencies and stop before them, so that each can finish the messages it
holds.
"""

import abc
import contextlib
import functools
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.emulators import answers_ok
from local.lock import AlreadyRunning, hold
from local.process import NotReady, Process, python_module, stop_all
from local.settings import LocalSettings
from pipeline.stopping import stop_on_signals

COLORS = {"producer": 36, "consumer": 33, "viewer": 35}
OTHER_COLOR = 32
# Ctrl-C ends everything within five seconds.
SERVICE_STOP_SECONDS = 3.5
DEPENDENCY_STOP_SECONDS = 1.0
READY_SECONDS = 30

Environment = dict[str, str]


@dataclass(frozen=True)
class Service:
    """A module that is run, with its port, and variables that nothing else sets for it."""

    module: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)


class System(abc.ABC):
    """What is started, and what is said of it."""

    def __init__(
        self,
        settings: LocalSettings,
        run_folder: Path,
        services: Mapping[str, Service],
        defaults: Mapping[str, str],
    ) -> None:
        """Start nothing yet.

        `services` are in the order in which they start, the viewer among them. `defaults` are variables for
        them, which the user's own environment overrides.
        """
        self.page, self.ports, self.viewer_host = settings.page, settings.ports, settings.viewer_host
        self.run_folder, self.services, self.defaults = run_folder, services, defaults
        self.awaited = ["viewer"]  # the services that have to be ready before the welcome

    @abc.abstractmethod
    def start_dependencies(self, started: list[Process]) -> Environment:
        """Start what the services need, append it to `started`, and return their environment.

        Raises NotReady.
        """

    @abc.abstractmethod
    def welcome(self, environment: Environment) -> str:
        """Return what to print once the page answers."""

    @abc.abstractmethod
    def clean_up(self, environment: Environment) -> None:
        """Undo what the services leave behind, once they have stopped."""


def run_system(system: System) -> int:
    """Run until Ctrl-C or SIGTERM (returns 0), or until a process exits by itself (returns 1)."""
    stop = stop_on_signals(second_ends=False)  # a second Ctrl-C would leave child processes running
    try:
        with hold(system.run_folder):
            return _run(system, stop)
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return 1


def _run(system: System, stop: threading.Event) -> int:
    """Start everything, wait for the end, stop everything; return the exit status."""
    taken = [
        f"port {port} is taken: choose another with {name}=…"
        for name, port in system.ports.items()
        if _is_taken(port)
    ]
    if taken:
        print("\n".join(taken), file=sys.stderr)
        return 1

    dependencies: list[Process] = []
    services: list[Process] = []
    environment: Environment = {}
    try:
        environment = system.start_dependencies(dependencies)
        _start_services(system, environment, services)
        print_line(system.welcome(environment))
        ended = _wait_for_first_exit([*dependencies, *services], stop)
    except NotReady as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        stop_all(services, SERVICE_STOP_SECONDS)
        if services:
            system.clean_up(environment)
        stop_all(dependencies, DEPENDENCY_STOP_SECONDS)
    if ended is not None:
        print(f"\nstopped everything because {ended.describe_end()}", file=sys.stderr)
        return 1
    return 0


def _start_services(system: System, environment: Environment, started: list[Process]) -> None:
    """Start the services, and wait until the page answers."""
    peers = [
        f"{name}=http://127.0.0.1:{service.port}"
        for name, service in system.services.items()
        if name != "viewer"
    ]
    for name, service in system.services.items():
        started.append(
            Process(
                name,
                python_module(service.module),
                log_file=system.run_folder / f"{name}.log",
                environment={
                    "LOG_FORMAT": "text",
                    **system.defaults,
                    **os.environ,
                    **environment,
                    **service.environment,
                    "PORT": str(service.port),
                    "HOST": system.viewer_host if name == "viewer" else "127.0.0.1",
                    "PEERS": ",".join(peers),
                },
                on_line=_printer(name),
            )
        )
    for process in started:
        if process.name in system.awaited:
            process.wait_until(functools.partial(_is_ready, system, process.name), READY_SECONDS)
    for process in started:
        if process.exit_status is not None:
            raise NotReady(process.describe_end())


def _is_ready(system: System, name: str) -> bool:
    page = system.page if name == "viewer" else f"http://127.0.0.1:{system.services[name].port}"
    return answers_ok(f"{page}/health?probe=readiness")


def _wait_for_first_exit(processes: Sequence[Process], stop: threading.Event) -> Process | None:
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


def _printer(name: str) -> Callable[[str], None]:
    def show(line: str) -> None:
        # An open page and probes send requests all the time: these go to the log file only.
        if " INFO    GET /" not in line:
            print_line(f"{_prefix(name)} {line}")

    return show


def _prefix(name: str) -> str:
    color = COLORS.get(name, OTHER_COLOR)
    return f"\x1b[{color}m{name:<8}\x1b[0m" if sys.stdout.isatty() else f"{name:<8}"


def print_line(text: str) -> None:
    """Print in a single write, so that lines from different threads do not mix."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

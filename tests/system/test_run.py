"""`make run`, as its users start and stop it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psutil
import pytest
import requests

from local.emulators import aws_environment
from local.lock import hold
from tests.support.endpoints import create_topic
from tests.support.ports import free_port
from tests.support.postgres import open_folder
from tests.support.tapping import publish_to, tapped
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


class Run:
    """One `make run` with ports and a folder of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        names = ("VIEWER_PORT", "PRODUCER_PORT", "CONSUMER_PORT", "AWS_PORT")
        self.ports = {name: str(free_port()) for name in names} | environment
        self.log = folder / "make-run.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["make", "--no-print-directory", "run"],
                cwd=ROOT,
                env={**os.environ, **self.ports, "RUN_FOLDER": str(folder), "MAX_INTERVAL_SECONDS": "2"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['VIEWER_PORT']}"

    def output(self) -> str:
        return self.log.read_text()

    def descendants(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def messages(self) -> int:
        try:
            return len(requests.get(f"{self.url}/api/messages", timeout=5).json().get("messages", []))
        except (requests.ConnectionError, requests.Timeout):
            return 0

    def is_up(self) -> bool:
        """Tell whether it says so itself, and shows a message, which may be of an earlier run."""
        return "See the messages" in self.output() and self.messages() > 0

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to all of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Wait for the end of these, which takes a moment where init has to learn of it."""

    def runs(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return False

    wait_for(lambda: not any(map(runs, processes)), seconds=5, what="the end of all processes")


@contextlib.contextmanager
def open_run(folder: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**environment: str) -> Run:
        runs.append(Run(folder, **environment))
        return runs[-1]

    try:
        yield start
    finally:
        for one in runs:
            if one.process.poll() is None:
                one.interrupt()
                one.process.wait(10)


@pytest.fixture
def run() -> Iterator[Callable[..., Run]]:
    """Start `make run` on a folder of the test's own."""
    with open_folder() as folder, open_run(folder) as start:
        yield start


@pytest.fixture(scope="module")
def used_folder() -> Iterator[Path]:
    """A folder in which it ran before: there is a database already, which takes long to make."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def run_again(used_folder: Path) -> Iterator[Callable[..., Run]]:
    """Start `make run` on a folder that others may have used."""
    with open_run(used_folder) as start:
        yield start


def test_greetings_arrive_and_ctrl_c_leaves_nothing_behind_but_the_history(run: Callable[..., Run]) -> None:
    first = run()
    wait_for(first.is_up, seconds=30, what="the first greeting")
    assert f"http://localhost:{first.ports['VIEWER_PORT']}" in first.output()
    assert "Fanout" in requests.get(first.url, timeout=5).text
    started = first.descendants()
    assert len(started) >= 5

    first.interrupt()
    first.process.wait(10)

    wait_until_gone(started)
    assert "Traceback" not in first.output()

    before = first.messages
    second = run()
    wait_for(lambda: second.messages() >= 1, seconds=30, what="the history")
    assert before() == 0


def test_a_topic_that_a_user_creates_shows_up_with_its_messages(
    run_again: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run_again()
    wait_for(running.is_up, seconds=30)
    for name, value in aws_environment(int(running.ports["AWS_PORT"])).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    topic = create_topic("orders")
    wait_for(lambda: tapped() == ["orders"], what="the tapping of the topic, and of no other")

    publish_to(topic, "an order")

    def shown() -> list[str]:
        found = requests.get(f"{running.url}/api/messages?q=queue:fanout-tap", timeout=5).json()
        return [message["preview"] for message in found["messages"]]

    wait_for(lambda: shown() == ["an order"])


def test_sigterm_to_the_runner_ends_all_with_success(run_again: Callable[..., Run]) -> None:
    running = run_again()
    wait_for(running.is_up, seconds=30)
    started = running.descendants()
    [runner] = [process for process in started if process.cmdline()[1:3] == ["-m", "local"]]

    runner.send_signal(signal.SIGTERM)

    assert running.process.wait(10) == 0
    wait_until_gone(started)


@pytest.mark.parametrize("variable", ["VIEWER_PORT", "PRODUCER_PORT", "CONSUMER_PORT", "AWS_PORT"])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(
    variable: str, run: Callable[..., Run]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        running = run(**{variable: port})

        assert running.process.wait(20) != 0

    assert said_by(running) == [f"port {port} is taken: choose another with {variable}=…"]


def said_by(running: Run) -> list[str]:
    """Return its lines; make adds one of its own: "make: …", or "make[1]: …" under `make test`."""
    return [line for line in running.output().splitlines() if not line.startswith("make")]


HOLD = """
import os, pathlib, sys
from local.lock import hold
with hold(pathlib.Path(sys.argv[1])):
    print(flush=True)
    input()
"""


@contextlib.contextmanager
def open_holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the folder, as `make run` does while it starts and while it ends."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        try:
            yield holder
        finally:
            holder.kill()


def test_a_second_run_in_a_folder_says_so_in_one_line_and_starts_nothing() -> None:
    with open_folder() as folder, open_holder(folder) as holder, open_run(folder) as start:
        before = set(folder.iterdir())
        second = start()

        assert second.process.wait(20) != 0
        assert said_by(second) == [
            f"already running in {folder}/ (process {holder.pid}): "
            "stop it first, or choose another folder with RUN_FOLDER=…"
        ]
        assert set(folder.iterdir()) == before | {second.log}


def test_a_run_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    with open_holder(tmp_path) as holder:
        holder.kill()
        holder.wait(10)

        with hold(tmp_path):
            assert (tmp_path / "lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("part", ["producer", "consumer", "viewer", "ministack", "postgres"])
def test_a_part_that_dies_is_named_and_the_rest_stops(part: str, run_again: Callable[..., Run]) -> None:
    running = run_again()
    wait_for(running.is_up, seconds=30)
    started = running.descendants()
    [victim] = [
        process
        for process in started
        if re.search(rf"-m {part}$|/{part} -D", " ".join(process.cmdline()))
        and process.parent().cmdline()[1:3] == ["-m", "local"]  # type: ignore[union-attr]
    ]

    victim.kill()

    assert running.process.wait(10) != 0
    assert f"stopped everything because {part} was ended by SIGKILL" in running.output()
    wait_until_gone(started)

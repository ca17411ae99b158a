"""`make watch` as a process, with ports and a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from local.emulators import ROOT
from tests.support.ports import free_port
from tests.support.postgres import open_folder


class Watch:
    """One `make watch` with ports and a folder of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str], command: str = "local.watch") -> None:
        self.port = free_port()
        self.log = folder / f"{command}.log"
        ports = {"VIEWER_PORT": str(self.port), "CONSUMER_PORT": str(free_port())}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command.split()],
                cwd=ROOT,
                env={**os.environ, **ports, "RUN_FOLDER": str(folder), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.log.read_text()

    def messages(self) -> list[dict[str, Any]]:
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}/api/messages?include=data", timeout=5)
            return list(answer.json().get("messages", []))
        except (requests.ConnectionError, requests.Timeout):
            return []

    def previews(self) -> list[str]:
        return sorted(str(message["preview"]) for message in self.messages())

    def is_watching(self) -> bool:
        """Whether the topics are subscribed, as the consumer says, and the page is there."""
        return "See the messages" in self.output() and "INFO    watching " in self.output()

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to all of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    """Start `make watch` on a folder of the test's own."""
    started: list[Watch] = []
    with open_folder() as folder:

        def start(environment: dict[str, str], command: str = "local.watch") -> Watch:
            started.append(Watch(folder, environment, command))
            return started[-1]

        yield start
        for one in started:
            if one.process.poll() is None:
                one.interrupt()
                one.process.wait(20)
            print(one.output())  # which pytest shows of a test that failed

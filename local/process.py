"""Child processes: start one, wait until it is ready, stop it with all its children."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

TAIL_LINES = 15


class NotReady(Exception):
    """A process did not become ready; the text names it and shows the end of its log."""


class Process:
    """A child process in its own session, so that Ctrl-C in the terminal does not reach it.

    Its output is written to `log_file`; each line is also passed to `on_line`, if given.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Start the process. `environment` extends the current environment; `user` requires root."""
        self.name = name
        self.log_file = log_file
        self._shown = on_line is not None
        self._stop_signal = stop_signal
        self._child = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._child.stdout is not None
        self._reader = threading.Thread(
            target=self._copy_output, args=(self._child.stdout, on_line), daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its session and process group."""
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; a negative value is the number of the signal that ended it."""
        return self._child.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` returns true; raises NotReady if the process exits first or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_status is not None:
                raise NotReady(self.describe_end())
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} did not answer within {seconds:.0f} s\n{self.log_end()}")
            time.sleep(0.05)

    def describe_end(self) -> str:
        """Return a line that says how it ended, and the end of its log unless `on_line` got it."""
        status = self.exit_status
        assert status is not None
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        return f"{self.name} {how}" + ("" if self._shown else f"\n{self.log_end()}")

    def log_end(self) -> str:
        """Return the last lines of its log, each prefixed with its name."""
        self._reader.join(1)
        lines = self.log_file.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join(f"  {self.name} | {line}" for line in lines)

    def ask_to_stop(self) -> None:
        """Send its stop signal and return at once."""
        self.send_signal(self._stop_signal)

    def send_signal(self, number: signal.Signals) -> None:
        """Send this signal to the process, not to its children, if it is still running."""
        if self.exit_status is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait until it exits, or kill it after `seconds`; return its exit status."""
        try:
            self._child.wait(max(0, seconds))
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(1)
        return self._child.wait()

    def kill(self) -> None:
        """Kill it and all its children."""
        if self.exit_status is None:
            os.killpg(self.pid, signal.SIGKILL)

    def _copy_output(self, output: IO[bytes], on_line: Callable[[str], None] | None) -> None:
        with output, self.log_file.open("ab", buffering=0) as log_file:
            for line in output:
                log_file.write(line)
                if on_line:
                    on_line(line.decode(errors="replace").rstrip("\n"))


def stop_all(processes: Sequence[Process], seconds: float) -> None:
    """Ask all to stop, then wait for them; kill those that still run after `seconds` in total."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.wait(deadline - time.monotonic())


def python_module(module: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module]

"""The watch: how much memory the services use and how quickly they answer while they are attacked.

It is a process of its own, so that it is not slowed by the attacker's threads.
"""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import psutil
import requests

HEALTH_EVERY_SECONDS = 0.2
PAGE_EVERY_SECONDS = 1.0
MEMORY_EVERY_SECONDS = 0.25
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Measures:
    """What was seen of one service: memory in MiB, the slowest answers in seconds, and failed answers.

    Memory is the proportional set size of all its processes, which is what the limit of a pod counts. `page`
    is what an innocent reader asks for.
    """

    memory_before: float
    memory_highest: float
    memory_after: float
    slowest_health: float = 0.0
    slowest_page: float = 0.0
    failed_health: int = 0
    failed_page: int = 0


class Watch:
    """Watches services from a process of its own."""

    def __init__(self) -> None:
        """Start the process."""
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=[theirs], daemon=True)
        self._process.start()

    def add(self, name: str, pid: int, url: str, page: str | None = None) -> None:
        """Watch this service from now on; `page` is a path that an innocent reader asks for."""
        self._ask("add", name, pid, url, page)

    def remove(self, name: str) -> None:
        """Watch this service no longer; `measures` tells what was seen until now."""
        self._ask("remove", name)

    def begin(self) -> None:
        """Forget what was seen so far."""
        self._ask("begin")

    def measures(self) -> dict[str, Measures]:
        """Return what was seen of each service since the last `begin`."""
        return self._ask("measures")  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def _ask(self, *command: Any) -> Any:
        self._pipe.send(command)
        return self._pipe.recv()


class _Watched:
    """One service, watched by threads of the watching process."""

    def __init__(self, pid: int, url: str, page: str | None) -> None:
        self._process, self._url, self._page = psutil.Process(pid), url, page
        self._end, self._lock = threading.Event(), threading.Lock()
        self._asked_at: dict[str, float] = {}
        self.begin()
        loops: list[tuple[Any, float]] = [
            (self._note_memory, MEMORY_EVERY_SECONDS),
            (lambda: self._note_answer("health", "/health"), HEALTH_EVERY_SECONDS),
        ]
        if page:
            loops.append((lambda: self._note_answer("page", page), PAGE_EVERY_SECONDS))
        for call, seconds in loops:
            threading.Thread(target=self._repeat, args=[call, seconds], daemon=True).start()

    def begin(self) -> None:
        memory = self._memory()
        with self._lock:
            self._seen = Measures(memory, memory, memory)

    def measures(self) -> Measures:
        self._note_memory()
        for what, asked_at in list(self._asked_at.items()):
            self._note_seconds(what, time.monotonic() - asked_at)  # of an answer that is still awaited
        return self._seen

    def end(self) -> None:
        self._end.set()

    def _repeat(self, call: Any, seconds: float) -> None:
        while not self._end.wait(seconds):
            with contextlib.suppress(psutil.NoSuchProcess):
                call()

    def _memory(self) -> float:
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_full_info().pss
        return total / 2**20

    def _note_memory(self) -> None:
        memory = self._memory()
        with self._lock:
            highest = max(memory, self._seen.memory_highest)
            self._seen = replace(self._seen, memory_after=memory, memory_highest=highest)

    def _note_answer(self, what: str, path: str) -> None:
        began = self._asked_at[what] = time.monotonic()
        try:
            fine = requests.get(self._url + path, timeout=TIMEOUT_SECONDS).status_code == 200
        except requests.RequestException:
            fine = False
        del self._asked_at[what]
        if not self._end.is_set():
            self._note_seconds(what, time.monotonic() - began, failed=not fine)

    def _note_seconds(self, what: str, seconds: float, *, failed: bool = False) -> None:
        with self._lock:
            slowest, failures = getattr(self._seen, f"slowest_{what}"), getattr(self._seen, f"failed_{what}")
            changes = {f"slowest_{what}": max(slowest, seconds), f"failed_{what}": failures + failed}
            self._seen = replace(self._seen, **changes)


def _serve(pipe: Connection) -> None:
    watched: dict[str, _Watched] = {}
    gone: dict[str, Measures] = {}
    for command, *arguments in _commands(pipe):
        answer: Any = None
        if command == "add":
            name, *rest = arguments
            watched[name] = _Watched(*rest)
        elif command == "remove":
            one = watched.pop(arguments[0])
            gone[arguments[0]] = one.measures()
            one.end()
        elif command == "begin":
            gone.clear()
            for one in watched.values():
                one.begin()
        else:
            answer = {name: one.measures() for name, one in watched.items()} | gone
        pipe.send(answer)


def _commands(pipe: Connection) -> Iterator[Any]:
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            yield pipe.recv()

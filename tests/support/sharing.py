"""What takes long to start is started once for all workers of a pytest session."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest


@contextlib.contextmanager
def shared(
    name: str, folders: pytest.TempPathFactory, open_part: Callable[[], AbstractContextManager[str]]
) -> Iterator[str]:
    """Yield what `open_part` yields in the worker that needs it first; that one closes it after all others.

    The locks go with the process that holds them, so that a worker that dies is not waited for.
    """
    if not _of_workers():
        with open_part() as said:
            yield said
        return
    folder = folder_of_all(folders)
    said_in = folder / name
    with (
        (folder / f"{name}.turn").open("w") as turn,
        (folder / f"{name}.users").open("w") as users,
        contextlib.ExitStack() as part,
    ):
        with _locked(turn):
            owner = not said_in.exists()
            if owner:
                said_in.write_text(part.enter_context(open_part()))
            said = said_in.read_text()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield said
        finally:
            if owner:
                _wait_for_the_others(turn, users, said_in)


def folder_of_all(folders: pytest.TempPathFactory) -> Path:
    """Return the folder of the session: in it each worker has one of its own."""
    folder = folders.getbasetemp()
    return folder.parent if _of_workers() else folder


def _of_workers() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


def _wait_for_the_others(turn: IO[str], users: IO[str], said_in: Path) -> None:
    """Return once nobody else uses it; from then on nobody finds it."""
    while True:
        with _locked(turn), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            said_in.unlink()
            return
        time.sleep(0.1)


@contextlib.contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)

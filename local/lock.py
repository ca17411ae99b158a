"""One `make run` at a time in a folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the folder; the text says which, and what to do."""


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes out of this folder until the end of the block, or of this process.

    Raises AlreadyRunning. The kernel releases the lock (flock(2)), so that a crash leaves none behind. Child
    processes do not inherit it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"already running in {folder}/ (process {file.read()}): "
                "stop it first, or choose another folder with RUN_FOLDER=…"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

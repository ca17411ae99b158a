"""Who may add and remove network interfaces, and who must not see it happen.

Chromium drops every request (ERR_NETWORK_CHANGED) when an interface appears or vanishes, as one does with
each container.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.sharing import folder_of_all


@pytest.fixture(scope="session")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> "Interfaces":
    """The lock on the interfaces of this machine, which all workers of this run share."""
    return Interfaces(folder_of_all(tmp_path_factory) / "interfaces")


class Interfaces:
    """A lock that many who need them unchanged hold at once, or one who changes them."""

    def __init__(self, path: Path) -> None:
        """Lock by that file."""
        self._path = path

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Wait until nobody changes them, and keep it so."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Wait until nobody needs them unchanged."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with self._path.open("w") as file:
            fcntl.flock(file, kind)
            yield

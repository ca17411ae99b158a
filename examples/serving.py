"""An HTTP service on the viewer's server: gunicorn with gevent, bounds on what clients may cost, its logs."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from pipeline.logs import set_up_logging
from pipeline.settings import Settings

MAX_REQUESTS_IN_HAND = 200
BEAT_SECONDS = 1.0

log = logging.getLogger(__name__)


class WebService(BaseApplication):
    """A WSGI application, which `load_app` makes in the worker, once gevent has patched the modules."""

    def __init__(self, settings: Settings, load_app: Callable[[], Any]) -> None:
        """Start nothing yet."""
        self._settings, self._load_app = settings, load_app
        super().__init__()

    def load_config(self) -> None:
        """Set the options of gunicorn."""
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "worker_class": "viewer.server.worker.Worker",
            "workers": 1,  # else each has metrics of its own
            "worker_connections": MAX_REQUESTS_IN_HAND,
            "graceful_timeout": 3,
            "keepalive": 10,
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "logger_class": "viewer.server.gunicorn_logging.GunicornLogger",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application, in the worker."""
        return self._load_app()


def serve(name: str, settings: Settings, load_app: Callable[[], Any]) -> None:
    """Serve until SIGTERM or SIGINT. `load_app` imports what uses sockets, and returns the application."""
    set_up_logging(name, settings)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})
    WebService(settings, load_app).run()


def beat_for_ever(beat: Callable[[], None]) -> None:
    """Call `beat` every second, from a thread: liveness fails when threads do not run any more."""

    def run() -> None:
        while True:
            beat()
            time.sleep(BEAT_SECONDS)

    threading.Thread(target=run, name="beat", daemon=True).start()

"""The logs of gunicorn, in the format of the service."""

import logging
from collections.abc import MutableMapping
from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):
    """Passes records on to the root logger instead of formatting them."""

    def setup(self, cfg: Any) -> None:
        """Attach no handler, so that records propagate to the root logger."""
        self.cfg = cfg
        self.error_log = logging.getLogger("gunicorn")
        self.error_log.setLevel(logging.WARNING)
        self.access_log = logging.getLogger("access")

    def access(self, resp: Any, _req: Any, environ: MutableMapping[str, Any], request_time: Any) -> None:
        """Log one request that was answered; of one that could not be parsed little is known."""
        status = str(resp.status).split(None, 1)[0]
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        self.access_log.info(
            "%s %s%s %s",
            environ.get("REQUEST_METHOD", "?"),
            environ.get("PATH_INFO", "?"),
            query,
            status,
            extra={"seconds": round(request_time.total_seconds(), 4)},
        )

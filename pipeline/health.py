"""Health: one endpoint, `GET /health`, for both probes of Kubernetes ("Configure Liveness, Readiness and
Startup Probes").

Liveness checks only that the service's own loops still turn: a restart repairs a loop that hangs, but not AWS
or a database. Readiness (`?probe=readiness`) checks the dependencies too.
"""

import contextlib
import functools
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from pipeline.problems import Problem, answer_problems_as_documents
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain
from pipeline.timely import NoAnswer, Timely

START = "start"
# Shorter than the timeout of the readiness probes, so that they learn which dependency does not answer.
CHECK_SECONDS = 5.0
# A probe every second costs a dependency no more than that, however many ask.
CHECK_AGAIN_SECONDS = 0.5
MAX_CONNECTIONS = 64
CONNECTION_SECONDS = 10.0
MAX_WARNINGS, MAX_WARNING_LENGTH = 10, 1_000

CHECK_OK = Gauge(
    "fanout_check_ok",
    "Whether what readiness checks works: the service itself and each dependency",
    ["check"],
)

Answer = tuple[dict[str, Any], int]
log = logging.getLogger(__name__)
access_log = logging.getLogger("access")


class Health:
    """The state of one service. Loops report to it from their threads; probes read it from others.

    `checks` maps the name of each dependency to a call that returns if it works and raises if not.
    """

    def __init__(
        self,
        stall_seconds: float,
        checks: Mapping[str, Callable[[], None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch the start from now on, and each loop from its first report."""
        self._stall_seconds = stall_seconds
        self._checks = {
            name: Timely(functools.partial(_outcome, check), CHECK_AGAIN_SECONDS, CHECK_SECONDS)
            for name, check in checks.items()
        }
        self._clock = clock
        self._beats: dict[str, float] = {START: clock()}
        self._doing: dict[str, str] = {}
        self._died: dict[str, str] = {}
        self._warnings: Sequence[str] = ()
        self._draining = threading.Event()

    def beat(self, loop: str) -> None:
        """Report that this loop has completed a turn, or waits for a dependency on purpose."""
        self._beats[loop] = self._clock()
        if loop != START:
            self._beats.pop(START, None)

    def doing(self, loop: str, what: str) -> None:
        """Report what this loop is doing. This is no beat; the reason of a stall names it."""
        self._doing[loop] = what
        if loop not in self._beats:
            self.beat(loop)

    def fail(self, loop: str, reason: str) -> None:
        """Report that this loop has ended and will not turn again."""
        self._died[loop] = reason

    def warn(self, lines: Sequence[str]) -> None:
        """Report what an operator should know though the service is ready; it replaces the last report."""
        self._warnings = [line[:MAX_WARNING_LENGTH] for line in lines[:MAX_WARNINGS]]

    def drain(self) -> None:
        """Fail readiness from now on, because the service is stopping."""
        self._draining.set()

    def liveness(self) -> Answer:
        """Return 200 while every loop turns, 503 with the reason when one has stalled or died."""
        for loop, reason in self._died.copy().items():
            return _down(f"{loop} {reason}")
        now = self._clock()
        for loop, beat in self._beats.copy().items():
            if now - beat > self._stall_seconds:
                doing = f" ({self._doing[loop]})" if loop in self._doing else ""
                return _down(f"{loop} has not completed a turn for {now - beat:.0f} s{doing}")
        return {"status": "UP!"}, 200

    def readiness(self) -> Answer:
        """Return 200 if the service is alive, not draining, and every dependency works.

        With warnings, if there are any.
        """
        body, status = self._own_state()
        checks = self._outcomes()
        failed = [name for name, outcome in checks.items() if outcome != "ok"]
        if status == 200 and failed:
            body, status = _down(f"not working: {', '.join(failed)}")
        warnings = {"warnings": self._warnings} if self._warnings else {}
        return {**body, "checks": checks, **warnings}, status

    def report(self) -> None:
        """Set the metric of each check to what readiness would say of it."""
        _, status = self._own_state()
        CHECK_OK.labels("service").set(status == 200)
        for name, outcome in self._outcomes().items():
            CHECK_OK.labels(name).set(outcome == "ok")

    def _own_state(self) -> Answer:
        """Return what readiness says if every dependency works."""
        body, status = self.liveness()
        return _down("draining") if status == 200 and self._draining.is_set() else (body, status)

    def _outcomes(self) -> dict[str, str]:
        """Return "ok" or what is wrong, of each dependency."""
        for check in self._checks.values():
            check.start()  # all at once
        return {name: _in_time(check) for name, check in self._checks.items()}


def _down(reason: str) -> Answer:
    return {"status": "DOWN!", "reason": reason}, 503


def _in_time(check: Timely[str]) -> str:
    try:
        return check()
    except NoAnswer as error:
        return str(error)


def _outcome(check: Callable[[], None]) -> str:
    """Return "ok" or what is wrong."""
    try:
        check()
    except (*AWS_ERRORS, *DATABASE_ERRORS, OSError) as error:
        return explain(error)
    except Exception as error:
        log.exception("check failed")
        return explain(error)
    return "ok"


def health_blueprint(health: Health) -> Blueprint:
    """Return `GET /health` and `GET /metrics`, which every service has."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return answer_metrics(health)

    @blueprint.get("/health")
    def answer() -> Response:
        return answer_probe(health, request.args.get("probe", "liveness"))

    return blueprint


def answer_metrics(health: Health) -> Response:
    """Return the metrics of this process for Prometheus. Takes up to CHECK_SECONDS if a dependency hangs."""
    health.report()
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def answer_probe(health: Health, probe: str) -> Response:
    """Return what a probe of Kubernetes asks. Raises Problem if there is no such probe."""
    if probe not in ("liveness", "readiness"):
        raise Problem(400, "probe should be liveness or readiness", parameter="probe")
    body, status = health.readiness() if probe == "readiness" else health.liveness()
    text = json.dumps(body, separators=(",", ":"))
    return Response(text, status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def serve_health(health: Health, host: str, port: int) -> None:
    """Answer probes from a thread, in a service without another server. Exits if the port is taken."""
    app = Flask("health")
    app.register_blueprint(health_blueprint(health))
    answer_problems_as_documents(app)
    try:
        server = _Server(host, port, app, handler=_LoggedRequest)
    except OSError as error:
        raise SystemExit(f"cannot listen on {host}:{port} (PORT): {error.strerror}") from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


class _Server(ThreadedWSGIServer):
    """Keeps few connections, each for a limited time: probes are answered whoever else connects."""

    daemon_threads = True

    def __init__(self, *args: Any, **options: Any) -> None:
        """Listen."""
        self._since: dict[socket.socket, float] = {}  # the oldest first
        self._changing = threading.Lock()
        super().__init__(*args, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own; end the oldest if there are too many."""
        with self._changing:
            self._since[request] = time.monotonic()
            if len(self._since) > MAX_CONNECTIONS:
                oldest = next(iter(self._since))
                del self._since[oldest]
                _hang_up(oldest)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """End connections that take too long; called about twice a second, and after each new one."""
        with self._changing:
            for connection, since in list(self._since.items()):
                if since + CONNECTION_SECONDS > time.monotonic():
                    break
                self._since.pop(connection)
                _hang_up(connection)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that was answered, or ended."""
        with self._changing:
            self._since.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log in one line why a request was not answered: its client left, or was sent away."""
        del request
        reason = explain(sys.exception())
        log.debug("probe not answered", extra={"client": client_address[0], "reason": reason})


def _hang_up(connection: socket.socket) -> None:
    """Let the thread that waits for this connection find its end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _LoggedRequest(WSGIRequestHandler):
    timeout = CONNECTION_SECONDS  # of each wait for this client

    def log_request(self, code: int | str = "-", _size: int | str = "-") -> None:
        access_log.info("%s %s %s", self.command, self.path, getattr(code, "value", code))

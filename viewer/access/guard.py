"""Access: host names, requests of other origins, READ_ONLY, and the token."""

from flask import Flask, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from pipeline.problems import Problem
from pipeline.store.connection import Database
from viewer.access.hosts import may_name_the_viewer
from viewer.access.login import PAGES, Login
from viewer.access.sessions import Sessions
from viewer.settings import ViewerSettings

# These need no token, and may be used with READ_ONLY.
OPEN_ENDPOINTS = ("health.answer", "health.metrics", "static", "login", "log_in", "log_out")
# Probes and peers use any name. Files of the viewer itself are no secret.
ANY_HOST = ("health.answer", "static")
READING = ("GET", "HEAD", "OPTIONS")
# A question that does not fit into an address.
ASKING = ("topology.preview_destinations",)


def guard(app: Flask, database: Database, settings: ViewerSettings) -> None:
    """Check every request to the app before it is handled."""
    login = None
    if settings.viewer_token:
        token = settings.viewer_token.get_secret_value()
        login = Login(app, token, Sessions(database, token))
    allowed_hosts, why_read_only = settings.allowed_host_names, settings.why_read_only

    @app.before_request
    def check() -> AnyResponse | tuple[str, int] | None:
        if login is None and request.endpoint not in ANY_HOST:
            host = request.environ.get("HTTP_HOST", "")
            if not may_name_the_viewer(host, allowed_hosts):
                return _refuse_host(host)
        writes = request.method not in READING
        if writes:
            _refuse_other_origins()
        if request.endpoint in OPEN_ENDPOINTS:
            return None
        refusal = login.refuse() if login else None
        if not refusal and writes and why_read_only and request.endpoint not in ASKING:
            raise Problem(403, f"This viewer is read-only. {why_read_only}")
        return refusal


def _refuse_host(host: str) -> AnyResponse | tuple[str, int]:
    if request.endpoint in PAGES:
        return render_template("unknown_host.html", host=host), 421
    return Problem(
        421,
        f"this viewer does not answer to the name {host!r}: add it to ALLOWED_HOSTS, or set VIEWER_TOKEN",
    ).to_response()


def _refuse_other_origins() -> None:
    """Refuse a write that a page of another origin sends with the reader's cookie ("Fetch Metadata", W3C)."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        # Old browsers send only Origin; a client that is no browser sends neither.
        foreign = origin is not None and origin.partition("://")[2] != request.host
    if foreign:
        raise Problem(403, "only pages of this viewer may write")

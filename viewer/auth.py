"""Access: the token and the login, READ_ONLY, requests of other origins; and the path prefix."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pipeline.problems import Problem
from viewer.hosts import may_name_the_viewer
from viewer.settings import ViewerSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

COOKIE = "fanout"
SESSION_SECONDS = 30 * 86_400
# A wrong token delays only the client that sent it.
WRONG_TOKEN_SECONDS = 0.5
# These need no token, and may be used with READ_ONLY.
OPEN_ENDPOINTS = ("health.answer", "health.metrics", "static", "login", "log_in")
# Without a token these lead to the login; everything else is refused.
PAGES = ("page", "docs.page")
# Probes and peers use any name. Files of the viewer itself are no secret.
ANY_HOST = ("health.answer", "static")
READING = ("GET", "HEAD", "OPTIONS")


def guard(app: Flask, settings: ViewerSettings) -> None:
    """Check every request to the app before it is handled."""
    token = settings.viewer_token.get_secret_value() if settings.viewer_token else None
    allowed_hosts, why_read_only = settings.allowed_host_names, settings.why_read_only

    @app.before_request
    def check() -> AnyResponse | tuple[str, int] | None:
        if token is None and request.endpoint not in ANY_HOST:
            host = request.environ.get("HTTP_HOST", "")
            if not may_name_the_viewer(host, allowed_hosts):
                return _refuse_host(host)
        if request.method not in READING:
            _refuse_other_origins()
            if why_read_only and request.endpoint not in OPEN_ENDPOINTS:
                raise Problem(403, f"This viewer is read-only. {why_read_only}")
        if token is None or request.endpoint in OPEN_ENDPOINTS or _may_enter(token):
            return None
        if request.endpoint in PAGES:
            return redirect(url_for("login", next=request.full_path.rstrip("?")))
        answer = Problem(401, "a token is required: Authorization: Bearer …").to_response()
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    if token is not None:
        _add_login(app, token)
    if settings.path_prefix:
        app.wsgi_app = Prefix(app.wsgi_app, settings.path_prefix)  # type: ignore[method-assign]


def _add_login(app: Flask, token: str) -> None:
    @app.route("/login")
    def login() -> str:
        return render_template("login.html", wrong=False)

    @app.route("/login", methods=["POST"])
    def log_in() -> AnyResponse | tuple[str, int]:
        if not _same(request.form.get("token", "").encode("utf-8", "replace"), token):
            time.sleep(WRONG_TOKEN_SECONDS)
            return render_template("login.html", wrong=True), 403
        answer = redirect(_page_of(request.args.get("next", "")))
        answer.set_cookie(
            COOKIE,
            _session(token),
            max_age=SESSION_SECONDS,
            path=url_for("page"),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return answer


def _may_enter(token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # WSGI hands over the bytes of a header as Latin-1 (PEP 3333).
    if scheme.lower() == "bearer" and _same(given.strip().encode("latin-1", "replace"), token):
        return True
    return _same(request.cookies.get(COOKIE, "").encode("utf-8", "replace"), _session(token))


def _session(token: str) -> str:
    """Return the value of the cookie: derived from the token, so that a new token ends every session."""
    return hmac.new(token.encode(), b"fanout viewer session", hashlib.sha256).hexdigest()


def _same(given: bytes, expected: str) -> bool:
    return hmac.compare_digest(given, expected.encode())


def _page_of(target: str) -> str:
    """Return the address of the page that a login leads to, whatever it was asked to lead to.

    Only the search in the address is taken from `target`, encoded anew: no text leads to another site.
    """
    path, _, query = target.partition("?")
    page = url_for("docs.page" if path == "/docs" else "page")
    asked = urlencode(parse_qsl(query, keep_blank_values=True)) if path in ("/", "/docs") else ""
    return f"{page}?{asked}" if asked else page


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
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise Problem(403, "only pages of this viewer may write")


class Prefix:
    """Serves an application below a path. /health is served at the root too, for probes."""

    def __init__(self, app: Callable[..., Any], prefix: str) -> None:
        """`prefix` begins with a slash and does not end with one."""
        self._app, self._prefix = app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        path = environ.get("PATH_INFO", "")
        if path == self._prefix:
            moved = Response(status=308, headers={"Location": f"{self._prefix}/"})
            return moved(environ, start_response)
        if path.startswith(f"{self._prefix}/"):
            environ = {**environ, "SCRIPT_NAME": self._prefix, "PATH_INFO": path.removeprefix(self._prefix)}
        elif path != "/health":
            missing = Problem(404, f"everything is below {self._prefix}/").to_response()
            return missing(environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

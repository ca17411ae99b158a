"""Signing in and out, and who may enter: with the token in a header, or with the cookie of a session."""

from urllib.parse import parse_qsl, urlencode

from flask import Flask, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pipeline.problems import Problem
from pipeline.retry import DATABASE_ERRORS, explain
from viewer.access.sessions import SESSION_SECONDS, ForgedCookie, Sessions
from viewer.access.tokens import TokenCheck, TooManyTries

COOKIE = "fanout"
# Without a token these lead to the login; everything else is refused.
PAGES = ("page", "docs.page")


class Login:
    """The login of an app, and the check of every other request."""

    def __init__(self, app: Flask, token: str, sessions: Sessions) -> None:
        """Add the login and the logout to the app. `token` is what a reader signs in with."""
        self._check, self._sessions = TokenCheck(token), sessions
        app.jinja_env.globals["can_sign_out"] = True
        app.add_url_rule("/login", "login", self._show)
        app.add_url_rule("/login", "log_in", self._sign_in, methods=["POST"])
        app.add_url_rule("/logout", "log_out", self._sign_out, methods=["POST"])
        app.after_request(self._end_stream_with_session)

    def refuse(self) -> AnyResponse | tuple[str, int] | None:
        """Return the answer to a request that may not enter; None if it may."""
        is_page = request.endpoint in PAGES
        try:
            if self._may_enter():
                return None
        except TooManyTries:
            if not is_page:
                raise
        except DATABASE_ERRORS as error:
            if not is_page:
                raise
            return render_template("unavailable.html", reason=explain(error)), 503
        if is_page:
            return _to_login(request.full_path.rstrip("?"))
        answer = Problem(401, "a token is required: Authorization: Bearer …").to_response()
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def _may_enter(self) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            # WSGI hands over the bytes of a header as Latin-1 (PEP 3333).
            return self._check.is_right(given.strip().encode("latin-1", "replace"))
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return False
        try:
            is_open = self._sessions.is_open(cookie)
        except ForgedCookie:
            self._check.count_forged_cookie()
            return False
        g.session_cookie = cookie if is_open else None
        return is_open

    def _end_stream_with_session(self, response: Response) -> Response:
        cookie = g.get("session_cookie")
        if cookie and response.mimetype == "text/event-stream":
            response.response = self._sessions.while_open(cookie, response.response)  # type: ignore[arg-type]
        return response

    def _show(self) -> str:
        return render_template("login.html")

    def _sign_in(self) -> AnyResponse | tuple[str, int] | tuple[str, int, dict[str, str]]:
        given = request.form.get("token", "").encode("utf-8", "replace")
        try:
            if not self._check.is_right(given):
                return render_template("login.html", problem="This token is not valid."), 403
            self._end_session()
            cookie = self._sessions.begin()
        except TooManyTries as error:
            problem = f"Too many wrong tokens from your address. Try again in {error.seconds} s."
            answer = render_template("login.html", problem=problem)
            return answer, error.status, {"Retry-After": str(error.seconds)}
        except DATABASE_ERRORS as error:
            problem = f"The database does not answer: {explain(error)}"
            return render_template("login.html", problem=problem), 503
        to_page = redirect(_page_of(request.args.get("next", "")))
        to_page.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            path=url_for("page"),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return to_page

    def _sign_out(self) -> AnyResponse:
        self._end_session()
        return _to_login()

    def _end_session(self) -> None:
        if cookie := request.cookies.get(COOKIE):
            self._sessions.end(cookie)


def _to_login(next_: str | None = None) -> AnyResponse:
    """Return the way to the login, and the end of a cookie that is not valid any more."""
    answer = redirect(url_for("login", next=next_))
    if COOKIE in request.cookies:
        answer.delete_cookie(
            COOKIE, path=url_for("page"), secure=request.is_secure, httponly=True, samesite="Lax"
        )
    return answer


def _page_of(target: str) -> str:
    """Return the address of the page that a login leads to, whatever it was asked to lead to.

    Only the search in the address is taken from `target`, encoded anew: no text leads to another site.
    """
    path, _, query = target.partition("?")
    page = url_for("docs.page" if path == "/docs" else "page")
    asked = urlencode(parse_qsl(query, keep_blank_values=True)) if path in ("/", "/docs") else ""
    return f"{page}?{asked}" if asked else page

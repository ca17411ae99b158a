"""HTTP errors as problem documents (RFC 9457)."""

import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)


class Problem(Exception):
    """An error to answer with. `extension` adds members, such as the `parameter` that is wrong.

    `retry_after` is after how many seconds to try again.
    """

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None, **extension: Any) -> None:
        """Keep the members of the document."""
        super().__init__(detail)
        self.status, self.detail, self.extension = status, detail, extension
        self.retry_after = retry_after

    def to_response(self) -> Response:
        """Return the document."""
        title = HTTPStatus(self.status).phrase
        body = {"title": title, "status": self.status, "detail": self.detail, **self.extension}
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Response(json.dumps(body), self.status, headers, mimetype="application/problem+json")


def answer_problems_as_documents(app: Flask) -> None:
    """Answer every error of this app with a problem document; unexpected ones are logged with traceback."""

    @app.errorhandler(Problem)
    def answer_problem(problem: Problem) -> Response:
        return problem.to_response()

    @app.errorhandler(HTTPException)
    def answer_http_error(error: HTTPException) -> Response:
        response = Problem(error.code or 500, error.description or "").to_response()
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def answer_unexpected(error: Exception) -> Response:
        fields = {"method": request.method, "path": request.path}
        log.error("request failed", exc_info=error, extra=fields)
        return Problem(500, "internal error; see the log of the service").to_response()

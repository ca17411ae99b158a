"""Unsent answers: how much memory those may take that their clients have asked for but do not read."""

from collections import Counter

from flask import Flask, Response, request

from pipeline.problems import Problem

MAX_BYTES = 48 * 2**20
MAX_BYTES_PER_CLIENT = 24 * 2**20
RETRY_SECONDS = 5


def bound_unsent(app: Flask) -> None:
    """Answer 503 if there is no room for the answer. Streams and exports have bounds of their own."""
    unsent: Counter[str] = Counter()  # bytes, by the client's address

    def release(client: str, size: int) -> None:
        unsent[client] -= size
        if not unsent[client]:
            del unsent[client]

    @app.after_request
    def keep(answer: Response) -> Response:
        if answer.is_streamed:
            return answer
        client, size = request.remote_addr or "", len(answer.get_data())
        is_full = unsent[client] + size > MAX_BYTES_PER_CLIENT or unsent.total() + size > MAX_BYTES
        if is_full and unsent.total():  # one alone always has room
            why = "too many answers wait to be read"
            return Problem(503, why, retry_after=RETRY_SECONDS).to_response()
        unsent[client] += size
        answer.call_on_close(lambda: release(client, size))
        return answer

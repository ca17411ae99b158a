"""Compression of what is sent whole: the page, its files, lists. Streams and exports pass as they are."""

import functools
import gzip

from flask import Flask, Response, request

SMALLEST = 1_000
COMPRESSED = ("text/html", "text/css", "text/javascript", "application/json", "image/svg+xml")


def compress(app: Flask) -> None:
    """Compress the answers of this app for whoever takes them so."""

    @app.after_request
    def compress_answer(answer: Response) -> Response:
        whole = request.endpoint == "static" or not answer.is_streamed
        if answer.mimetype not in COMPRESSED or answer.status_code != 200 or not whole:
            return answer
        answer.vary.add("Accept-Encoding")
        if not request.accept_encodings["gzip"]:
            return answer
        answer.direct_passthrough = False
        data = answer.get_data()
        if len(data) >= SMALLEST:
            packed = _packed(data) if request.endpoint == "static" else gzip.compress(data, 5)
            answer.set_data(packed)
            answer.headers["Content-Encoding"] = "gzip"
        return answer


@functools.lru_cache(maxsize=64)
def _packed(data: bytes) -> bytes:
    """Return one of our own files; there are few, and each is packed once."""
    return gzip.compress(data, 9)

"""Compression of answers that are sent whole: pages, files, lists. Streams and exports are not compressed."""

import functools
import gzip
import re

from flask import Flask, Response, request

MIN_BYTES = 200  # less does not shrink
COMPRESSED = ("text/html", "text/css", "text/javascript", "application/json", "image/svg+xml")
FILES = ("static", "docs.static")

# A third of our files is comments and indentation. Scripts keep their lines: errors name the right ones.
_NOT_SENT = {
    "text/javascript": re.compile(rb"^[ \t]+(?://.*)?|^//.*", re.MULTILINE),
    "text/css": re.compile(rb"/\*.*?\*/|^\s+|(?<=[{};,])\s+|\s+(?=[{}])", re.MULTILINE | re.DOTALL),
}


def compress(app: Flask) -> None:
    """Compress the answers of this app for clients that accept gzip."""

    @app.after_request
    def compress_answer(answer: Response) -> Response:
        is_file = request.endpoint in FILES
        is_whole = is_file or not answer.is_streamed
        if answer.mimetype not in COMPRESSED or answer.status_code != 200 or not is_whole:
            return answer
        answer.vary.add("Accept-Encoding")
        if not request.accept_encodings["gzip"]:
            return answer
        answer.direct_passthrough = False
        data = answer.get_data()
        if len(data) >= MIN_BYTES:
            answer.set_data(_compressed_file(data, answer.mimetype) if is_file else gzip.compress(data, 5))
            answer.headers["Content-Encoding"] = "gzip"
        return answer


@functools.lru_cache(maxsize=128)
def _compressed_file(data: bytes, mimetype: str) -> bytes:
    """Return one of our own files, compressed once; scripts and styles without their comments."""
    if mimetype in _NOT_SENT:
        data = _NOT_SENT[mimetype].sub(b"", data)
    return gzip.compress(data, 9)

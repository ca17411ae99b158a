"""Requests for JSON to the other services and to emulators."""

import json
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_IDLE = 8  # connections to one host that are kept

_pool = urllib3.PoolManager(maxsize=MAX_IDLE, retries=False, headers={"Accept": "application/json"})


class FetchError(Exception):
    """There was no answer, one that is too large, or one that is not JSON; the text says why."""


def fetch_json(url: str, timeout: float, max_bytes: int = MAX_ANSWER_BYTES) -> tuple[int, Any]:
    """Return the status and the document of a GET; None is the document of an error that has none.

    Raises FetchError.
    """
    try:
        answer = _pool.request("GET", url, timeout=timeout, preload_content=False)
        try:
            text = answer.read(max_bytes + 1)
            if len(text) > max_bytes:
                answer.close()
        finally:
            answer.release_conn()
        if len(text) > max_bytes:
            raise FetchError(f"{url.partition('?')[0]} answers with more than {max_bytes:,} bytes")
        return answer.status, _document(answer.status, text)
    except (HTTPError, ValueError, RecursionError) as error:
        raise FetchError(f"{url.partition('?')[0]} does not answer: {error}") from None


def _document(status: int, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if status == 200:
            raise
        return None

"""Requests for JSON to the other services and to emulators."""

from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

_pool = urllib3.PoolManager(retries=False, headers={"Accept": "application/json"})


class FetchError(Exception):
    """There was no answer, or one that is not JSON; the text says why."""


def fetch_json(url: str, timeout: float) -> tuple[int, Any]:
    """Return the status and the document of a GET; None is the document of an error that has none.

    Raises FetchError.
    """
    try:
        answer = _pool.request("GET", url, timeout=timeout)
        return answer.status, _document(answer)
    except (HTTPError, ValueError) as error:
        raise FetchError(f"{url.partition('?')[0]} does not answer: {error}") from None


def _document(answer: urllib3.BaseHTTPResponse) -> Any:
    try:
        return answer.json()
    except ValueError:
        if answer.status == 200:
            raise
        return None

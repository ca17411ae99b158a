"""Asking other services for JSON over HTTP."""

import json
import urllib.error
import urllib.request
from typing import Any


class FetchError(Exception):
    """There was no answer, or one that is not JSON; the text says why."""


def fetch_json(url: str, timeout: float) -> tuple[int, Any]:
    """Return the status and the document of a GET, whatever the status. Raises FetchError."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _json_or_none(error)
    except (OSError, ValueError) as error:
        raise FetchError(f"{url.partition('?')[0]} does not answer: {error}") from None


def _json_or_none(error: urllib.error.HTTPError) -> Any:
    try:
        return json.load(error)
    except (OSError, ValueError):
        return None

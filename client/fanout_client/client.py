"""The client: searches, waits and publishes through the HTTP API of the viewer."""

import http.client
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from fanout_client.errors import FanoutError, NoMatch, UnexpectedMatch
from fanout_client.messages import Message, NearMiss, Published

DEFAULT_URL = "http://localhost:5000"
MAX_WAIT_SECONDS = 60  # of one request
GRACE_SECONDS = 15.0  # that an answer may take longer than it was asked to wait
RETRY_SECONDS = 1.0
BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Fanout:
    """A viewer of Fanout. `token` is its VIEWER_TOKEN, if it has one.

    `since` is a cursor: only messages stored after it are found. Methods raise FanoutError if the viewer
    cannot be reached or refuses the request.
    """

    url: str = DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    since: int | None = None

    def from_now(self) -> Self:
        """Return a client that finds only messages stored from now on."""
        return replace(self, since=self._get("api/messages", limit=1)["cursor"])

    def messages(self, query: str = "", *, limit: int = 50) -> list[Message]:
        """Return at most `limit` messages that match now, oldest first.

        With `since` these are the first ones after it, otherwise the newest ones.
        """
        return _messages(self._get("api/messages", q=query, limit=limit, include="data", after=self.since))

    def expect(self, query: str, *, within: float = 10) -> Message:
        """Return the first message that matches, as soon as it is stored.

        Raises NoMatch after `within` seconds, of which each that has begun counts.
        """
        __tracebackhide__ = True
        [message] = self.expect_several(query, 1, within=within)
        return message

    def expect_several(self, query: str, count: int, *, within: float = 10) -> list[Message]:
        """Return the first `count` messages that match, oldest first, as soon as they are stored.

        Raises NoMatch after `within` seconds.
        """
        __tracebackhide__ = True
        answer = self._wait(query, count, within)
        found = _messages(answer)
        if len(found) < count:
            misses = [NearMiss.from_json(one) for one in answer.get("near_misses", [])]
            raise NoMatch(query, count, within, found, misses)
        return found

    def expect_none(self, query: str, *, within: float = 1) -> None:
        """Wait for `within` seconds. Raises UnexpectedMatch as soon as a message matches."""
        __tracebackhide__ = True
        for message in _messages(self._wait(query, 1, within)):
            raise UnexpectedMatch(query, message)

    def publish(self, message: Mapping[str, Any], attributes: Mapping[str, Any] | None = None) -> Published:
        """Publish `{"text": …}`, whose other members become data too, or a whole CloudEvent.

        `attributes` are SNS message attributes: texts and numbers.
        """
        body = dict(message) if attributes is None else {"message": message, "attributes": attributes}
        answer = self._request("POST", "api/messages", body=body)
        return Published(answer["id"], answer["source"])

    def delete(self, query: str) -> int:
        """Delete the stored messages that match; return how many they were."""
        return int(self._request("DELETE", "api/messages", {"q": query})["deleted"])

    def _wait(self, query: str, count: int, within: float) -> dict[str, Any]:
        """Return the answer when enough messages match, or after so many seconds."""
        deadline = time.monotonic() + within
        while True:
            left = deadline - time.monotonic()
            # The API waits for whole seconds.
            wait = min(MAX_WAIT_SECONDS, max(1, math.ceil(left)))
            try:
                answer = self._get(
                    "api/messages",
                    timeout=wait + GRACE_SECONDS,
                    q=query,
                    count=count,
                    limit=count,
                    wait=wait,
                    include="data",
                    after=self.since,
                )
            except FanoutError as error:
                if error.status not in BUSY or time.monotonic() + RETRY_SECONDS > deadline:
                    raise
                time.sleep(RETRY_SECONDS)
                continue
            if len(answer["messages"]) >= count or wait >= left:
                return answer

    def _get(self, path: str, *, timeout: float = GRACE_SECONDS, **query: Any) -> dict[str, Any]:
        return self._request("GET", path, query, timeout=timeout)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        timeout: float = GRACE_SECONDS,
    ) -> dict[str, Any]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/{path}?{urllib.parse.urlencode(given)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"} if body is not None else {},
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            raise FanoutError(f"{self.url} refuses: {_detail(error)}", error.code) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise FanoutError(f"no viewer of Fanout answers at {self.url}: {reason}") from None
        except ValueError:
            raise FanoutError(f"{self.url} is not a viewer of Fanout: it does not answer with JSON") from None


def _messages(answer: Mapping[str, Any]) -> list[Message]:
    """Return the messages of an answer, oldest first."""
    return [Message.from_json(one) for one in reversed(answer["messages"])]


def _detail(error: urllib.error.HTTPError) -> str:
    """Return the detail of a problem document (RFC 9457), else the status."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"

"""The access token that a client sends, and how often it may send a wrong one."""

import hmac
import math

from flask import Response, request

from pipeline.problems import Problem
from viewer.access.proxies import PEER
from viewer.access.throttle import Throttle

# What one address may get wrong: ten times at once, then ten times a minute.
CLIENT_BURST, CLIENT_SECONDS = 10, 6.0
# What all addresses may get wrong that one proxy forwards, which could be invented.
PEER_BURST, PEER_SECONDS = 200, 0.3


class TooManyTries(Problem):
    """The client sent too many wrong tokens: none is checked for a while, not even a right one."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long the client should wait."""
        self.seconds = math.ceil(seconds)
        super().__init__(429, f"too many wrong tokens from your address; try again in {self.seconds} s")

    def to_response(self) -> Response:
        """Return the document."""
        response = super().to_response()
        response.headers["Retry-After"] = str(self.seconds)
        return response


class TokenCheck:
    """Compares tokens with the right one, as often as the address of the request allows."""

    def __init__(self, token: str) -> None:
        """`token` is the right one."""
        self._token = token.encode()
        self._tokens, self._cookies = _Limits(), _Limits()

    def is_right(self, given: bytes) -> bool:
        """Tell whether this is the token. Raises TooManyTries."""
        self._tokens.take()
        if not hmac.compare_digest(given, self._token):
            return False
        self._tokens.give_back()
        return True

    def count_forged_cookie(self) -> None:
        """Raise TooManyTries if there were too many before.

        They are counted apart: the tabs of a reader whose session has ended must not keep the reader from
        signing in.
        """
        self._cookies.take()


class _Limits:
    """The tries left to the client of the current request, and to the proxy that forwarded it."""

    def __init__(self) -> None:
        self._clients = Throttle(CLIENT_BURST, CLIENT_SECONDS)
        self._peers = Throttle(PEER_BURST, PEER_SECONDS)

    def take(self) -> None:
        wait = max(throttle.take(address) for throttle, address in self._of_request())
        if wait:
            raise TooManyTries(wait)

    def give_back(self) -> None:
        for throttle, address in self._of_request():
            throttle.give_back(address)

    def _of_request(self) -> list[tuple[Throttle, str]]:
        client = request.remote_addr or ""
        peer = request.environ.get(PEER, client)
        own = [(self._clients, client)]
        return own if peer == client else [*own, (self._peers, peer)]

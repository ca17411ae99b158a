"""Behind a reverse proxy: the address of the client, and the path below which the viewer is served."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

from pipeline.problems import Problem
from viewer.settings import ViewerSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PEER = "fanout.peer"  # the address that the connection came from


def serve_behind_proxies(app: Flask, settings: ViewerSettings) -> None:
    """Make the app see what its clients sent to the proxies in front of it."""
    if settings.path_prefix:
        app.wsgi_app = Prefix(app.wsgi_app, settings.path_prefix)  # type: ignore[method-assign]
    app.wsgi_app = ForwardedAddress(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]


class ForwardedAddress:
    """Sets REMOTE_ADDR to the client's address where a trusted proxy says it in X-Forwarded-For.

    gunicorn itself sets the scheme, by X-Forwarded-Proto of the same proxies.
    """

    def __init__(self, app: Callable[..., Any], trusted: list[str]) -> None:
        """`trusted` are addresses and networks of proxies; `*` trusts whoever connects."""
        self._app = app
        self._trusts_all = "*" in trusted
        self._networks = [ipaddress.ip_network(network) for network in trusted if network != "*"]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        peer = environ.get("REMOTE_ADDR", "")
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        client = self._client(peer, [part.strip() for part in forwarded.split(",") if part.strip()])
        answer: Iterable[bytes] = self._app({**environ, PEER: peer, "REMOTE_ADDR": client}, start_response)
        return answer

    def _client(self, peer: str, forwarded: list[str]) -> str:
        """Return the last address that no trusted proxy has: what stands before it may be invented."""
        if not (self._trusts_all or self._is_trusted(peer)):
            return peer
        client = peer
        for client in reversed(forwarded):
            if not self._is_trusted(client):
                break
        return client if _is_address(client) else peer

    def _is_trusted(self, client: str) -> bool:
        return _is_address(client) and any(
            ipaddress.ip_address(client) in network for network in self._networks
        )


def _is_address(client: str) -> bool:
    try:
        ipaddress.ip_address(client)
    except ValueError:
        return False
    return True


class Prefix:
    """Serves an application below a path. /health is served at the root too, for probes."""

    def __init__(self, app: Callable[..., Any], prefix: str) -> None:
        """`prefix` begins with a slash and does not end with one."""
        self._app, self._prefix = app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        path = environ.get("PATH_INFO", "")
        if path == self._prefix:
            moved = Response(status=308, headers={"Location": f"{self._prefix}/"})
            return moved(environ, start_response)
        if path.startswith(f"{self._prefix}/"):
            environ = {**environ, "SCRIPT_NAME": self._prefix, "PATH_INFO": path.removeprefix(self._prefix)}
        elif path != "/health":
            missing = Problem(404, f"everything is below {self._prefix}/").to_response()
            return missing(environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

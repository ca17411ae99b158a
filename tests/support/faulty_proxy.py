"""A proxy before the emulator that breaks a share of all calls, as AWS and networks break them."""

import http.client
import random
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HELD_SECONDS = 7.0  # longer than the consumer's client waits for an answer when WAIT_TIME_SECONDS is 1

THROTTLED_XML = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>"
    b"</Error></ErrorResponse>"
)


class FaultyProxy:
    """Passes requests on to `target_port`; `share` of them meet a fault, chosen at random."""

    def __init__(self, target_port: int, share: float) -> None:
        self.faults: dict[str, int] = {}
        self._target_port, self._share = target_port, share
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                faults: list[Callable[[bytes], None]] = [
                    self.answer_500,
                    self.answer_html,
                    self.throttle,
                    self.cut_before,
                    self.cut_after,
                    self.hold,
                ]
                # Holding takes seconds: rarer, so that the others get their turn.
                fault = random.choices(faults, weights=[3, 3, 3, 3, 3, 0.5])[0]
                if random.random() < proxy._share:
                    proxy.faults[fault.__name__] = proxy.faults.get(fault.__name__, 0) + 1
                    fault(body)
                else:
                    self.answer(*self.forward(body))

            def forward(self, body: bytes) -> tuple[int, Any, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", proxy._target_port, timeout=40)
                try:
                    connection.request("POST", self.path, body, dict(self.headers))
                    response = connection.getresponse()
                    return response.status, response.getheader("Content-Type"), response.read()
                finally:
                    connection.close()

            def answer(self, status: int, content_type: str | None, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type or "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def answer_500(self, _body: bytes) -> None:
                self.answer(500, None, b'{"__type":"InternalFailure","message":"broken on purpose"}')

            def answer_html(self, _body: bytes) -> None:
                """Say what a load balancer says."""
                self.answer(502, "text/html", b"<html><body><h1>502 Bad Gateway</body></html>")

            def throttle(self, _body: bytes) -> None:
                if "X-Amz-Target" in self.headers:  # SQS speaks JSON, SNS XML
                    self.answer(400, None, b'{"__type":"ThrottlingException","message":"Rate exceeded"}')
                else:
                    self.answer(400, "text/xml", THROTTLED_XML)

            def cut_before(self, _body: bytes) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def cut_after(self, body: bytes) -> None:
                """Let AWS do it, and lose the answer."""
                self.forward(body)
                self.cut_before(body)

            def hold(self, body: bytes) -> None:
                proxy._closing.wait(HELD_SECONDS)
                self.cut_before(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

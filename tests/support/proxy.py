"""A proxy before an emulator, to change or to record what services ask of AWS."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST_POLL_SECONDS = 40


class Proxy(ThreadingHTTPServer):
    """Passes requests on to `target_port`, by handlers that override `take`."""

    daemon_threads = True

    def __init__(self, target_port: int, handler: type["ProxyHandler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.target_port = target_port
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a service that ends hangs up on its long poll."""


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.answer(*self.forward(b""))

    def do_POST(self) -> None:
        self.take(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def take(self, body: bytes) -> None:
        """Answer a request to AWS."""
        self.answer(*self.forward(body))

    def forward(self, body: bytes) -> tuple[int, str | None, bytes]:
        assert isinstance(self.server, Proxy)
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.target_port, timeout=LONGEST_POLL_SECONDS
        )
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
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

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

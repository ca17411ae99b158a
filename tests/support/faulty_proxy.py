"""A proxy before the emulator that breaks a share of all calls, as AWS and networks break them."""

import random
import socket
import threading
from collections.abc import Callable

from tests.support.proxy import Proxy, ProxyHandler

HELD_SECONDS = 7.0  # longer than the consumer's client waits for an answer when WAIT_TIME_SECONDS is 1

THROTTLED_XML = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>"
    b"</Error></ErrorResponse>"
)


class FaultyProxy(Proxy):
    """Passes requests on to `target_port`; `share` of them meet a fault, chosen at random."""

    def __init__(self, target_port: int, share: float) -> None:
        self.faults: dict[str, int] = {}
        self.share = share
        self.closing = threading.Event()
        super().__init__(target_port, FaultyHandler)

    def close(self) -> None:
        self.closing.set()
        super().close()


class FaultyHandler(ProxyHandler):
    server: FaultyProxy

    def take(self, body: bytes) -> None:
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
        if random.random() < self.server.share:
            self.server.faults[fault.__name__] = self.server.faults.get(fault.__name__, 0) + 1
            fault(body)
        else:
            self.answer(*self.forward(body))

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
        self.server.closing.wait(HELD_SECONDS)
        self.cut_before(body)

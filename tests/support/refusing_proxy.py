"""A proxy before an emulator that refuses some actions, as AWS does to whoever lacks a permission or asks too
often: emulators enforce neither.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch
from urllib.parse import unquote_plus

from tests.support.proxy import Proxy, ProxyHandler

DENIED, THROTTLED = "AccessDenied", "Throttling"
# As AWS says them.
REASONS = {
    DENIED: "User: arn:aws:iam::000000000000:user/fanout is not authorized to perform this action",
    THROTTLED: "Rate exceeded",
}
STATUSES = {DENIED: 403, THROTTLED: 400}
# SQS, which speaks JSON, has names of its own.
OF_SQS = {DENIED: "AccessDeniedException", THROTTLED: "ThrottlingException"}
XML = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{reason}</Message></Error>"
    "</ErrorResponse>"
)


@dataclass(eq=False)
class Refusal:
    """An action that is refused to requests with this text in them; `count` is how often it was."""

    action: str
    code: str
    containing: str
    count: int = 0


class RefusingProxy(Proxy):
    """Passes requests on to `target_port`, and refuses what it was told to."""

    def __init__(self, target_port: int) -> None:
        self.refusals: list[Refusal] = []
        super().__init__(target_port, RefusingHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self, action: str, code: str = DENIED, containing: str = "") -> Refusal:
        """Refuse an action, such as ListTopics, until it is allowed."""
        self.refusals.append(Refusal(action, code, containing))
        return self.refusals[-1]

    def allow(self, *refusals: Refusal) -> None:
        """Refuse these no longer; without any, nothing at all."""
        self.refusals = [one for one in self.refusals if refusals and one not in refusals]

    @contextlib.contextmanager
    def before_clients(self) -> Iterator[None]:
        """Put the proxy before the clients that are made meanwhile."""
        with patch.dict("os.environ", AWS_ENDPOINT_URL=self.url):
            yield

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that was killed."""


class RefusingHandler(ProxyHandler):
    server: RefusingProxy

    def take(self, body: bytes) -> None:
        text = unquote_plus(body.decode(errors="replace"))
        form = re.search(r"(?:^|&)Action=(\w+)", text)  # SNS
        action = form[1] if form else self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        for refusal in self.server.refusals:
            if refusal.action == action and refusal.containing in text:
                refusal.count += 1
                self.refuse(refusal.code)
                return
        super().take(body)

    def refuse(self, code: str) -> None:
        status, reason = STATUSES[code], REASONS[code]
        if "X-Amz-Target" in self.headers:
            said = {"__type": f"com.amazonaws.sqs#{OF_SQS[code]}", "message": reason}
            self.answer(status, None, json.dumps(said).encode())
        else:
            self.answer(status, "text/xml", XML.format(code=code, reason=reason).encode())

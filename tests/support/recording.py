"""A proxy before an emulator that records which IAM actions are used, and on what."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tests.support.proxy import Proxy, ProxyHandler

# Requests that need the action of another name ("Actions, resources, and condition keys", AWS).
ACTIONS = {
    "ChangeMessageVisibilityBatch": ("ChangeMessageVisibility",),
    "DeleteMessageBatch": ("DeleteMessage",),
    "PublishBatch": ("Publish",),
}


@dataclass(frozen=True)
class Call:
    """One action that a request needed, with the parameters of the request."""

    action: str  # such as sqs:SendMessage
    parameters: Mapping[str, Any]


class Recorder(Proxy):
    """Passes requests on to `target_port`, and keeps what they were in `calls`."""

    def __init__(self, target_port: int) -> None:
        self.calls: list[Call] = []
        super().__init__(target_port, RecordingHandler)

    def actions(self) -> set[str]:
        return {call.action for call in self.calls}


class RecordingHandler(ProxyHandler):
    server: Recorder

    def take(self, body: bytes) -> None:
        self.server.calls += calls_of(self.headers.get("X-Amz-Target"), body)
        super().take(body)


def calls_of(target: str | None, body: bytes) -> list[Call]:
    """Read a request: SQS speaks JSON, SNS sends forms."""
    if target:
        service, operation, parameters = "sqs", target.rpartition(".")[2], json.loads(body)
    else:
        service, parameters = "sns", dict(parse_qsl(body.decode()))
        operation = parameters["Action"]
    names = list(ACTIONS.get(operation, (operation,)))
    if operation == "CreateQueue" and parameters.get("tags"):
        names.append("TagQueue")
    return [Call(f"{service}:{name}", parameters) for name in names]

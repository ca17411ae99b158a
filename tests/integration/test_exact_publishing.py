"""Publishing a body exactly as it is."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from flask.testing import FlaskClient

from tests.support.emulators import Names
from tests.support.stores import Store

OpenViewer = Callable[..., FlaskClient]
BODY = ' {"order":  {"id": 12345678901234567890}, "{{n}}": "\\u00e9"}\n'


def test_the_body_and_the_attributes_are_published_as_given(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)
    sent = {"body": BODY, "attributes": {"type": "mine", "priority": 5}}

    assert viewer.post("/api/messages/exact", json=sent).status_code == 202

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    (received,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"])[
        "Messages"
    ]
    assert received["Body"] == BODY
    found = received["MessageAttributes"]
    assert {name: (one["DataType"], one["StringValue"]) for name, one in found.items()} == {
        "type": ("String", "mine"),
        "priority": ("Number", "5"),
    }


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"body": ""},
        {"body": "x", "attributes": []},
        {"body": "x", "subject": "x" * 101},
        {"body": "x", "y": 1},
    ],
)
def test_what_cannot_be_published_is_refused(
    open_viewer: OpenViewer, store: Store, sent: dict[str, Any]
) -> None:
    assert open_viewer(store).post("/api/messages/exact", json=sent).status_code == 400

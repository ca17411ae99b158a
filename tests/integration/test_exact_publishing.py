"""Publishing a body exactly as it is."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from flask.testing import FlaskClient

from tests.support.emulators import Names
from tests.support.endpoints import create_queue, create_topic, subscribe
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


def receive(queue: str, wait_seconds: int = 5) -> list[dict[str, Any]]:
    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    answer = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=wait_seconds, MessageAttributeNames=["All"], AttributeNames=["All"]
    )
    return list(answer.get("Messages", []))


def test_a_queue_gets_the_body_and_typed_attributes_as_given(
    open_viewer: OpenViewer, store: Store, names: Names, emulator: str
) -> None:
    """MiniStack loses the value of Binary attributes."""
    queue = f"other-{names.queue}"
    create_queue(queue)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)
    given = {"n": {"type": "Number", "value": "5.0"}, "tags": {"type": "String.Array", "value": '["a"]'}}
    if emulator == "localstack":
        given["signature"] = {"type": "Binary", "value": "AP8="}

    answer: Any = viewer.post("/api/messages/exact", json={"body": BODY, "attributes": given, "queue": queue})

    assert answer.status_code == 202, answer.text
    [message] = receive(queue)
    assert message["Body"] == BODY
    assert message["MessageId"] == answer.json["message_id"]
    found = message["MessageAttributes"]
    assert {name: one["DataType"] for name, one in found.items()} == {
        name: one["type"] for name, one in given.items()
    }
    assert found["n"]["StringValue"] == "5.0"
    assert "signature" not in given or found["signature"]["BinaryValue"] == b"\x00\xff"


def test_a_delayed_message_is_hidden_at_first(open_viewer: OpenViewer, store: Store, names: Names) -> None:
    queue = f"other-{names.queue}"
    create_queue(queue)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)

    assert (
        viewer.post(
            "/api/messages/exact", json={"body": "x", "queue": queue, "delay_seconds": 900}
        ).status_code
        == 202
    )

    depth: Any = viewer.get(f"/api/waiting?queue={queue}").json
    assert (depth["queue"]["visible"], depth["queue"]["delayed"]) == (0, 1)


def test_a_fifo_queue_gets_group_and_deduplication_id(
    open_viewer: OpenViewer, store: Store, names: Names
) -> None:
    """Without one, each message has a deduplication id of its own: the same body is sent twice."""
    queue = f"other-{names.queue}.fifo"
    create_queue(queue)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)
    once = {"body": "x", "queue": queue, "group_id": "A-1", "deduplication_id": "once"}

    for sent in (once, once, {"body": "x", "queue": queue}, {"body": "x", "queue": queue}):
        assert viewer.post("/api/messages/exact", json=sent).status_code == 202

    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    groups = []
    while found := receive(queue, 1):
        groups += [one["Attributes"]["MessageGroupId"] for one in found]
        for one in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    assert sorted(groups) == ["A-1", "fanout", "fanout"]


def test_a_fifo_topic_drops_what_has_the_deduplication_id_of_another(
    open_viewer: OpenViewer, store: Store, names: Names
) -> None:
    topic, queue = f"other-{names.topic}.fifo", f"other-{names.queue}.fifo"
    subscribe(create_topic(topic), create_queue(queue), RawMessageDelivery="true")
    viewer = open_viewer(store, names.topic, queue_name=names.queue)
    sent = {"body": "x", "topic": topic, "group_id": "A-1", "deduplication_id": "once"}

    for body in ("first", "second"):
        assert viewer.post("/api/messages/exact", json={**sent, "body": body}).status_code == 202

    assert [one["Body"] for one in receive(queue)] == ["first"]
    assert viewer.get(f"/api/waiting?queue={queue}").json["queue"]["visible"] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"topic": "t"}, "topic and queue"),
        ({"subject": "s"}, "subject is for topics"),
        ({"delay_seconds": 901}, "delay_seconds should be a whole number from 0 to 900"),
        ({"delay_seconds": -1}, "delay_seconds should be a whole number from 0 to 900"),
        ({"group_id": "g"}, "for FIFO queues"),
        ({"deduplication_id": "d"}, "for FIFO queues"),
        ({"queue": "q.fifo", "delay_seconds": 1}, "delay_seconds is for standard queues"),
        ({"queue": "q.fifo", "group_id": "g" * 129}, "group_id should be a text"),
        ({"queue": "no/name"}, "queue should be a text"),
    ],
)
def test_what_a_queue_cannot_take_is_refused(
    open_viewer: OpenViewer, store: Store, more: dict[str, Any], why: str
) -> None:
    answer = open_viewer(store).post("/api/messages/exact", json={"body": "x", "queue": "q", **more})

    assert answer.status_code == 400
    assert why in answer.json["detail"]  # type: ignore[index]


@pytest.mark.parametrize("more", [{"delay_seconds": 5}, {"deduplication_id": "d"}])
def test_what_a_standard_topic_cannot_take_is_refused(
    open_viewer: OpenViewer, store: Store, ministack: Names, more: dict[str, Any]
) -> None:
    viewer = open_viewer(store, ministack.topic)

    assert viewer.post("/api/messages/exact", json={"body": "x", **more}).status_code == 400


def test_a_queue_that_does_not_exist_is_said_not_to(
    open_viewer: OpenViewer, store: Store, names: Names
) -> None:
    answer = open_viewer(store, names.topic).post(
        "/api/messages/exact", json={"body": "x", "queue": "no-such-queue"}
    )

    assert answer.status_code == 409
    assert answer.json["detail"] == "there is no queue no-such-queue"  # type: ignore[index]


def test_a_masked_value_is_not_sent_to_a_queue(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    viewer = open_viewer(store, ministack.topic, redact="data.card")
    sent = {"body": '{"card": "•••"}', "queue": ministack.queue}

    assert viewer.post("/api/messages/exact", json=sent).status_code == 400
    assert viewer.get(f"/api/waiting?queue={ministack.queue}").json["messages"] == []  # type: ignore[index]


def test_a_read_only_viewer_sends_nothing_to_a_queue(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    viewer = open_viewer(store, ministack.topic, read_only=True)

    assert viewer.post("/api/messages/exact", json={"body": "x", "queue": ministack.queue}).status_code == 403

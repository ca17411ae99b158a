"""Deleting one message, and purging a queue."""

from collections.abc import Callable

import boto3
from flask.testing import FlaskClient

from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.stores import Store

OpenViewer = Callable[..., FlaskClient]


def test_one_message_is_deleted(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)
    first, second = store.add([arrival("first"), arrival("second")])

    assert viewer.delete(f"/api/messages/{first}").json == {"deleted": 1}

    assert viewer.delete(f"/api/messages/{first}").status_code == 404
    assert [one["seq"] for one in viewer.get("/api/messages").json["messages"]] == [second]  # type: ignore[index]


def test_a_queue_is_purged_by_its_name(open_viewer: OpenViewer, store: Store, ministack: Names) -> None:
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)
    sqs, another = boto3.client("sqs"), f"{ministack.queue}-another"
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName=another)["QueueUrl"], MessageBody="theirs")

    for wrong in ("", "?queue=", "?queue=a%20b"):
        assert viewer.delete(f"/api/waiting{wrong}").status_code == 400
    assert viewer.delete("/api/waiting?queue=no-such-queue").status_code == 404
    for queue, messages in ((ministack.queue, 0), (another, 1), (another, 0)):
        answer = viewer.delete(f"/api/waiting?queue={queue}")
        assert answer.json == {"queue": queue, "messages": messages}


def test_some_messages_are_deleted(open_viewer: OpenViewer, store: Store) -> None:
    first, second, third = store.add([arrival("a"), arrival("b"), arrival("c")])
    viewer = open_viewer(store)

    assert viewer.delete(f"/api/messages?seqs={first},{third},999999").json == {"deleted": 2}
    assert [message.seq for message in store.find(limit=10)] == [second]
    assert viewer.delete(f"/api/messages?seqs={second}&q=other").json == {"deleted": 0}
    for wrong in ("", "1,", "-1", "x", ",".join(["1"] * 201)):
        answer = viewer.delete(f"/api/messages?seqs={wrong}")
        assert (answer.status_code, answer.json["parameter"]) == (400, "seqs")  # type: ignore[index]


def test_a_viewer_that_only_reads_deletes_nothing(open_viewer: OpenViewer, store: Store) -> None:
    (seq,) = store.add([arrival("first")])
    viewer = open_viewer(store, read_only=True)

    assert viewer.delete(f"/api/messages/{seq}").status_code == 403
    assert viewer.delete(f"/api/messages?seqs={seq}").status_code == 403
    assert viewer.delete("/api/waiting?queue=broadcasts-consumer").status_code == 403

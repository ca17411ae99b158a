"""The dead letters of any queue of the endpoint go back, as they are: somebody else's are not changed."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from pipeline.aws import sns_client, sqs_client
from tests.support.endpoints import client, create_queue, create_topic, redrive, subscribe
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.aws.topology_keeper import TopologyKeeper

OpenViewer = Callable[..., FlaskClient]
REDRIVE = "/api/dead-letters/redrive"
BODY = ' {"order":  12345678901234567890}\n'
ATTRIBUTES: dict[str, Any] = {
    "tenant": {"DataType": "String", "StringValue": "acme"},
    "level": {"DataType": "Number.int", "StringValue": "007"},
}


@pytest.fixture
def viewer(account: dict[str, str], open_viewer: OpenViewer, store: Store) -> FlaskClient:
    """A viewer in an account of its own, with the queue `orders` and its dead-letter queue."""
    assert account
    create_queue("orders", create_queue("orders-dlq"))
    return open_viewer(store, "broadcasts", topology=keeper_of_now())


def keeper_of_now() -> TopologyKeeper:
    """Return what has read the endpoint once."""
    keeper = TopologyKeeper(sns_client(), sqs_client(5), threading.Event())
    keeper.turn()
    return keeper


def url_of(queue: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def send(queue: str, *bodies: str, **more: Any) -> None:
    for body in bodies:
        client("sqs").send_message(
            QueueUrl=url_of(queue), MessageBody=body, MessageAttributes=ATTRIBUTES, **more
        )


def die(queue: str, *bodies: str) -> None:
    """Let these messages of a queue end in its dead-letter queue: it allows three receives."""
    send(queue, *bodies)
    dead = url_of(f"{queue}-dlq")

    def died() -> bool:
        client("sqs").receive_message(
            QueueUrl=url_of(queue), VisibilityTimeout=0, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        counted = client("sqs").get_queue_attributes(
            QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(counted["Attributes"]["ApproximateNumberOfMessages"]) == len(bodies)

    wait_for(died)


def taken(queue: str, count: int) -> list[dict[str, Any]]:
    """Receive and delete so many messages."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        answer = client("sqs").receive_message(
            QueueUrl=url_of(queue),
            WaitTimeSeconds=5,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        assert answer.get("Messages"), f"{count - len(found)} are missing"
        for one in answer["Messages"]:
            client("sqs").delete_message(QueueUrl=url_of(queue), ReceiptHandle=one["ReceiptHandle"])
        found += answer["Messages"]
    return found


def ended(viewer: FlaskClient, name: str) -> dict[str, Any]:
    def last() -> dict[str, Any] | None:
        answer: Any = viewer.get(f"{REDRIVE}?queue={name}").json
        found: dict[str, Any] | None = answer["redrive"]
        return None if found is None or found["status"] in ("running", "cancelling") else found

    found = wait_for(last, seconds=20, what="the end of the redrive")
    assert found is not None
    return found


def test_dead_letters_go_back_to_their_queue_exactly(viewer: FlaskClient) -> None:
    """Natively on LocalStack, one by one on MiniStack; nothing of Fanout's is added."""
    die("orders", BODY, "a text")
    known: Any = viewer.get(f"{REDRIVE}?queue=orders-dlq").json
    assert (known["from"], known["to"], known["queues"], known["waiting"]) == (
        "orders-dlq",
        "orders",
        ["orders"],
        2,
    )

    answer = viewer.post(f"{REDRIVE}?queue=orders-dlq", json={"all": True})

    assert answer.status_code == 202, answer.text
    outcome = ended(viewer, "orders-dlq")
    assert (outcome["status"], outcome["moved"]) == ("completed", 2)
    found = taken("orders", 2)
    assert sorted(one["Body"] for one in found) == sorted([BODY, "a text"])
    for one in found:
        typed = {name: value["DataType"] for name, value in one["MessageAttributes"].items()}
        assert typed == {"tenant": "String", "level": "Number.int"}
    assert viewer.get(f"{REDRIVE}?queue=orders-dlq").json["waiting"] == 0  # type: ignore[index]


def test_one_dead_letter_is_chosen(viewer: FlaskClient) -> None:
    send("orders-dlq", "first", "second")
    waiting: Any = viewer.get("/api/waiting?queue=orders-dlq").json
    [chosen] = [one["message_id"] for one in waiting["messages"] if one["body"] == "second"]

    answer = viewer.post(f"{REDRIVE}?queue=orders-dlq", json={"message_ids": [chosen]})

    assert answer.status_code == 202, answer.text
    assert ended(viewer, "orders-dlq")["moved"] == 1
    [moved] = taken("orders", 1)
    assert moved["Body"] == "second"
    assert moved["MessageAttributes"].keys() == ATTRIBUTES.keys()
    assert viewer.get(f"{REDRIVE}?queue=orders-dlq").json["waiting"] == 1  # type: ignore[index]


def test_dead_letters_go_to_another_queue_on_request(viewer: FlaskClient) -> None:
    create_queue("elsewhere")
    die("orders", "a")

    answer = viewer.post(f"{REDRIVE}?queue=orders-dlq", json={"all": True, "to": "elsewhere"})

    assert answer.status_code == 202, answer.text
    outcome = ended(viewer, "orders-dlq")
    assert (outcome["moved"], outcome["to"]) == (1, "elsewhere")
    assert [one["Body"] for one in taken("elsewhere", 1)] == ["a"]


def test_a_fifo_queue_gets_its_dead_letters_back_in_their_groups(
    account: dict[str, str], open_viewer: OpenViewer, store: Store
) -> None:
    assert account
    create_queue("fifo.fifo", create_queue("fifo-dlq.fifo"))
    viewer = open_viewer(store, "broadcasts", topology=keeper_of_now())
    for number in range(3):
        send("fifo-dlq.fifo", str(number), MessageGroupId="A-1", MessageDeduplicationId=str(number))
    waiting: Any = viewer.get("/api/waiting?queue=fifo-dlq.fifo").json
    chosen = [one["message_id"] for one in waiting["messages"]]

    viewer.post(f"{REDRIVE}?queue=fifo-dlq.fifo", json={"message_ids": chosen})

    assert ended(viewer, "fifo-dlq.fifo")["moved"] == 3
    found = taken("fifo.fifo", 3)
    assert [one["Body"] for one in found] == ["0", "1", "2"]
    assert {one["Attributes"]["MessageGroupId"] for one in found} == {"A-1"}


def test_what_a_subscription_could_not_deliver_goes_to_its_queue(
    account: dict[str, str], open_viewer: OpenViewer, store: Store
) -> None:
    assert account
    undelivered = create_queue("undelivered")
    subscribe(create_topic("news"), create_queue("readers"), RedrivePolicy=redrive(undelivered))
    viewer = open_viewer(store, "broadcasts", topology=keeper_of_now())
    send("undelivered", "late")

    assert viewer.post(f"{REDRIVE}?queue=undelivered", json={"all": True}).status_code == 202

    assert ended(viewer, "undelivered")["moved"] == 1
    assert [one["Body"] for one in taken("readers", 1)] == ["late"]


def test_where_several_queues_share_one_a_choice_needs_a_target(
    viewer: FlaskClient, account: dict[str, str], open_viewer: OpenViewer, store: Store
) -> None:
    assert viewer
    assert account
    create_queue("refunds", create_queue("orders-dlq"))
    viewer = open_viewer(store, "broadcasts", topology=keeper_of_now())
    send("orders-dlq", "whose?")
    known: Any = viewer.get(f"{REDRIVE}?queue=orders-dlq").json
    assert (known["to"], known["queues"]) == (None, ["orders", "refunds"])
    [one] = viewer.get("/api/waiting?queue=orders-dlq").json["messages"]  # type: ignore[index]
    chosen = {"message_ids": [one["message_id"]]}

    refused: Any = viewer.post(f"{REDRIVE}?queue=orders-dlq", json=chosen)
    assert (refused.status_code, "orders, refunds" in refused.json["detail"]) == (409, True)

    assert viewer.post(f"{REDRIVE}?queue=orders-dlq", json={**chosen, "to": "refunds"}).status_code == 202
    assert ended(viewer, "orders-dlq")["moved"] == 1
    assert [one["Body"] for one in taken("refunds", 1)] == ["whose?"]


def test_a_queue_of_no_dead_letters_is_not_redriven(viewer: FlaskClient) -> None:
    send("orders", "alive")

    for name in ("orders", "no-such-queue"):
        for answer in (
            viewer.get(f"{REDRIVE}?queue={name}"),
            viewer.post(f"{REDRIVE}?queue={name}", json={"all": True}),
            viewer.delete(f"{REDRIVE}?queue={name}"),
        ):
            assert answer.status_code == 409
    answer = viewer.post(f"{REDRIVE}?queue=orders-dlq", json={"all": True, "to": "orders-dlq"})
    assert answer.status_code == 409
    answer = viewer.post(f"{REDRIVE}?queue=orders-dlq", json={"message_ids": ["x"], "to": "no-such-queue"})
    assert answer.status_code == 409
    assert [one["Body"] for one in taken("orders", 1)] == ["alive"]


def test_a_read_only_viewer_redrives_nothing(
    viewer: FlaskClient, open_viewer: OpenViewer, store: Store
) -> None:
    assert viewer
    reader = open_viewer(store, "broadcasts", read_only=True)

    assert reader.post(f"{REDRIVE}?queue=orders-dlq", json={"all": True}).status_code == 403

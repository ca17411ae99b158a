"""A stored message is published again exactly, and stays linked to its original."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from flask.testing import FlaskClient

from consumer.handler import one_by_one
from consumer.queue import Queue
from pipeline.aws import sqs_client
from pipeline.envelope import Publication
from pipeline.message import COPY_OF, Delivery
from pipeline.store.copies import Copies
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names, subscribed
from tests.support.examples import arrival, arrived_again, raw_arrival
from tests.support.stores import FailureRecords, Store

OpenViewer = Callable[..., FlaskClient]

BODY = ' {"plain":  {"long": 12345678901234567890, "x": 1.50},\r\n "{{n}}": "\\u00e9"}\n'
ATTRIBUTES: dict[str, Any] = {
    "tenant": {"DataType": "String", "StringValue": "acme"},
    "priority": {"DataType": "Number", "StringValue": "5.0"},
    "regions": {"DataType": "String.Array", "StringValue": '["eu", 1]'},
    "level": {"DataType": "Number.int", "StringValue": "007"},
}
BINARY: dict[str, Any] = {"signature": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
EVENT = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order", "data": {"x": 1}}


def consumed(queue: str, store: Store, count: int = 1) -> list[dict[str, Any]]:
    """Store what the queue brings; return it as SQS gave it, and with its seq if it is new."""
    found: list[dict[str, Any]] = []
    consumer = Queue(sqs_client(10), queue, 30)
    while len(found) < count:
        deliveries = consumer.receive(5)
        assert deliveries, "nothing came"
        for one, added in zip(deliveries, store.add(deliveries), strict=True):
            found.append({"delivery": one, "added": added})
        consumer.delete(deliveries)
    return found


def typed(delivery: Delivery, types: dict[str, str], **known: Any) -> Delivery:
    publication = Publication(attribute_types=types, **known)
    return replace(delivery, message=replace(delivery.message, publication=publication))


@pytest.fixture
def viewer(open_viewer: OpenViewer, store: Store, ministack: Names) -> FlaskClient:
    return open_viewer(store, ministack.topic, queue_name=ministack.queue)


def as_sent(delivery: Delivery) -> tuple[object, ...]:
    message = delivery.message
    return message.body, message.attributes, message.publication.attribute_types


@pytest.mark.parametrize("body", [BODY, "plain words", "<order/>", json.dumps([EVENT, EVENT])])
def test_what_is_no_event_is_sent_again_exactly_and_links_to_its_original(
    open_viewer: OpenViewer, names: Names, emulator: str, store: Store, body: str
) -> None:
    """MiniStack loses the value of Binary attributes."""
    sns: Any = boto3.client("sns")
    arn = sns.create_topic(Name=names.topic)["TopicArn"]
    given = ATTRIBUTES | (BINARY if emulator == "localstack" else {})
    sns.publish(TopicArn=arn, Message=body, MessageAttributes=given)
    [original] = consumed(names.queue, store)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)

    for _ in range(2):
        answer = viewer.post(f"/api/messages/{original['added']}/copies")
        assert answer.status_code == 202, answer.text
        assert answer.json["identity"] == "same"  # type: ignore[index]
        assert answer.json["topic"] == names.topic  # type: ignore[index]

    copies = consumed(names.queue, store, 2)
    for copy in copies:
        assert as_sent(copy["delivery"]) == as_sent(original["delivery"])
    seqs = [copy["added"] for copy in copies]
    whole: Any = viewer.get(f"/api/messages/{original['added']}").json
    assert sorted(whole["copies"]) == sorted(seqs)
    assert (whole["is_event"], whole["has_own_id"]) == (False, False)
    for seq in seqs:
        linked: Any = viewer.get(f"/api/messages/{seq}").json
        assert linked["copy_of"]["seq"] == original["added"]
    # Another message with the same words is none.
    sns.publish(TopicArn=arn, Message=body, MessageAttributes=given)
    [other] = consumed(names.queue, store)
    assert viewer.get(f"/api/messages/{other['added']}").json["copy_of"] is None  # type: ignore[index]


def test_topic_and_subject_of_an_enveloped_message_are_kept(
    open_viewer: OpenViewer, names: Names, store: Store
) -> None:
    """It goes back to where it came from, not to the topic of the viewer."""
    queue = f"enveloped-{uuid.uuid4().hex}"
    arn = subscribed(f"other-{names.topic}", queue, raw=False)
    sns: Any = boto3.client("sns")
    sns.publish(TopicArn=arn, Message=BODY, Subject="An order", MessageAttributes=ATTRIBUTES)
    [original] = consumed(queue, store)

    answer: Any = open_viewer(store, names.topic).post(f"/api/messages/{original['added']}/copies").json

    assert answer["topic"] == f"other-{names.topic}"
    [copy] = consumed(queue, store)
    assert as_sent(copy["delivery"]) == as_sent(original["delivery"])
    publication = copy["delivery"].message.publication
    assert (publication.subject, publication.message_id) == ("An order", answer["message_id"])


def test_a_message_of_a_fifo_topic_is_sent_again_to_its_group(
    open_viewer: OpenViewer, names: Names, store: Store
) -> None:
    """With a deduplication id of its own: with the same, SNS would drop it."""
    name = f"{names.topic}.fifo"
    arn = subscribed(name, name, raw=False)
    sns: Any = boto3.client("sns")
    sns.publish(TopicArn=arn, Message="hi", MessageGroupId="A-1", MessageDeduplicationId="once")
    [original] = consumed(name, store)

    answer = open_viewer(store, names.topic).post(f"/api/messages/{original['added']}/copies")

    assert answer.status_code == 202, answer.text
    [copy] = consumed(name, store)
    assert copy["delivery"].message.publication.group_id == "A-1"
    assert copy["delivery"].message.publication.deduplication_id != "once"


def test_a_copy_of_an_event_has_an_id_of_its_own_or_is_a_further_delivery(
    open_viewer: OpenViewer, ministack: Names, store: Store
) -> None:
    event = '{"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order", "data":{"x": 1.50}}'
    types = {"priority": "Number", "type": "String"}
    attributes = {"priority": "5", "type": "order"}
    original = raw_arrival(event, attributes=attributes, queue=ministack.queue)
    [seq] = store.add([typed(original, types)])
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)

    new: Any = viewer.post(f"/api/messages/{seq}/copies").json
    [copy] = consumed(ministack.queue, store)
    body = json.loads(copy["delivery"].message.body)
    assert (new["identity"], new["id"]) == ("new", body["id"])
    assert (body[COPY_OF], body["id"] != "A-1") == ("/shop A-1", True)
    assert '"data":{"x": 1.50}' in copy["delivery"].message.body
    assert copy["delivery"].message.publication.attribute_types == types

    same: Any = viewer.post(f"/api/messages/{seq}/copies?identity=same").json
    assert (same["identity"], same["id"], same["source"]) == ("same", "A-1", "/shop")
    [again] = consumed(ministack.queue, store)
    assert (again["added"], again["delivery"].message.body) == ("duplicate", event)
    detail: Any = viewer.get(f"/api/messages/{seq}").json
    assert (detail["is_event"], detail["copies"], detail["status"]) == (True, [copy["added"]], "duplicate")


def test_an_event_in_binary_mode_gets_a_new_id_in_its_attributes(
    open_viewer: OpenViewer, ministack: Names, store: Store
) -> None:
    attributes = {"ce-specversion": "1.0", "ce-id": "B-1", "ce-source": "/shop", "ce-type": "order"}
    [seq] = store.add(
        [typed(raw_arrival("[1, 2]", attributes=attributes), dict.fromkeys(attributes, "String"))]
    )
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)

    answer: Any = viewer.post(f"/api/messages/{seq}/copies").json

    [copy] = consumed(ministack.queue, store)
    message = copy["delivery"].message
    assert (message.body, message.source, message.id) == ("[1, 2]", "/shop", answer["id"])
    assert message.id != "B-1"
    assert {**message.attributes, "ce-id": "B-1"} == attributes
    assert viewer.get(f"/api/messages/{seq}").json["copies"] == [copy["added"]]  # type: ignore[index]


@pytest.mark.parametrize(
    ("message", "query", "said"),
    [
        (raw_arrival("hi"), "identity=new", "no CloudEvent"),
        (raw_arrival("hi \0"), "", "characters that the store cannot hold"),
        (typed(raw_arrival("hi", attributes={"a": "§"}), {"a": "Binary"}), "", "not in base64"),
        (typed(raw_arrival("hi"), {}, topic="gone-for-good"), "", "there is no topic gone-for-good"),
    ],
    ids=["no event", "NUL", "no base64", "no topic"],
)
def test_what_cannot_be_sent_exactly_is_refused(
    viewer: FlaskClient, store: Store, message: Delivery, query: str, said: str
) -> None:
    [seq] = store.add([message])

    answer = viewer.post(f"/api/messages/{seq}/copies?{query}")

    assert answer.status_code == 409, answer.text
    assert said in answer.json["detail"]  # type: ignore[index]


def test_a_lost_value_and_a_foreign_topic_are_refused(
    open_viewer: OpenViewer, ministack: Names, store: Store
) -> None:
    lost = typed(raw_arrival("hi", attributes={"signature": ""}), {"signature": "Binary"})
    foreign = {"topic": ministack.topic, "topic_arn": f"arn:aws:sns:eu-west-1:999999999999:{ministack.topic}"}
    store.add([lost, typed(raw_arrival("hi"), {}, **foreign)])
    viewer = open_viewer(store, ministack.topic)

    said = [viewer.post(f"/api/messages/{seq}/copies").json["detail"] for seq in (1, 2)]  # type: ignore[index]

    assert "signature has no value; MiniStack loses" in said[0]
    assert "999999999999" in said[1]


def test_a_message_of_an_older_release_is_sent_with_texts(
    open_viewer: OpenViewer, ministack: Names, store: Store
) -> None:
    [seq] = store.add([raw_arrival("hi", attributes={"priority": "5"})])
    with store.connection() as connection:
        connection.execute("UPDATE messages SET attribute_types = NULL")

    open_viewer(store, ministack.topic).post(f"/api/messages/{seq}/copies")

    [copy] = consumed(ministack.queue, store)
    assert copy["delivery"].message.publication.attribute_types == {"priority": "String"}


# ---- links


def test_each_copy_is_linked_once_in_each_queue(store: Store) -> None:
    copies = Copies(store.database)
    copies.begin("hello", {"tenant": "acme"}, "/sqs/q 1")
    attributes = {"tenant": "acme", "fanout-original-id": "x"}

    store.add([raw_arrival("hello"), raw_arrival("hello", attributes={"tenant": "zeta"})])
    both = [raw_arrival("hello", attributes=attributes), raw_arrival("hello", attributes=attributes)]
    store.add(both)
    store.add([raw_arrival("hello", attributes=attributes, queue="another")])

    whole = store.read(range(1, 10))
    assert [one.copy_of for one in whole] == [None, None, "/sqs/q 1", None, "/sqs/q 1"]


def test_only_a_message_of_that_time_is_the_copy(store: Store) -> None:
    copies = Copies(store.database)
    copies.begin("hello", {}, "/sqs/q 1")
    with store.connection() as connection:
        connection.execute("UPDATE copies SET sent_at = sent_at - interval '6 minutes'")

    store.add([raw_arrival("hello")])

    assert [one.copy_of for one in store.read([1])] == [None]
    with store.connection() as connection:
        connection.execute("UPDATE copies SET sent_at = sent_at - interval '1 day'")
    copies.prune()
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM copies").fetchone() == (0,)


def test_a_copy_that_sns_refused_is_no_copy(open_viewer: OpenViewer, names: Names, store: Store) -> None:
    huge = "x" * 300_000
    [seq] = store.add([raw_arrival(huge)])

    answer = open_viewer(store, names.topic).post(f"/api/messages/{seq}/copies")

    if answer.status_code == 202:
        pytest.skip("this emulator takes messages of any size")
    assert answer.status_code == 400
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM copies").fetchone() == (0,)


def test_a_copy_that_dies_names_its_original(
    open_viewer: OpenViewer, create: Callable[..., Names], store: Store
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    [seq] = store.add([raw_arrival("hello")])
    viewer = open_viewer(store, names.topic, queue_name=names.queue)
    viewer.post(f"/api/messages/{seq}/copies")

    @one_by_one
    def fail(_: Delivery) -> None:
        raise ValueError("no")

    TestConsumer(names, store, fail).take(1)

    [letter] = FailureRecords(store).dead_letters()
    whole: Any = viewer.get(f"/api/dead-letters/{letter.message_id}").json
    assert whole["copy_of"]["seq"] == seq


# ---- edited copies


def test_an_edited_copy_keeps_types_and_links_to_its_original(
    open_viewer: OpenViewer, ministack: Names, store: Store
) -> None:
    [original] = [arrival("original", id="A-1", source="/shop")]
    [seq] = store.add([original])
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)
    sent = {
        "body": "changed",
        "attributes": {
            name: {"type": one["DataType"], "value": one["StringValue"]} for name, one in ATTRIBUTES.items()
        },
        "topic": ministack.topic,
        "copy_of": {"source": "/shop", "id": "A-1"},
    }

    answer = viewer.post("/api/messages/exact", json=sent)

    assert answer.status_code == 202, answer.text
    [copy] = consumed(ministack.queue, store)
    message = copy["delivery"].message
    assert message.attributes == {name: one["StringValue"] for name, one in ATTRIBUTES.items()}
    assert message.publication.attribute_types == {name: one["DataType"] for name, one in ATTRIBUTES.items()}
    assert viewer.get(f"/api/messages/{seq}").json["copies"] == [copy["added"]]  # type: ignore[index]
    assert store.add([arrived_again(original)]) == ["duplicate"]


@pytest.mark.parametrize(
    "attribute",
    [
        {"type": "Number"},
        {"type": "Number", "value": "high"},
        {"type": "Number", "value": "."},
        {"type": "Number", "value": "NaN"},
        {"type": "Number", "value": "9" * 39},
        {"type": 5, "value": "5"},
        {"type": "Integer", "value": "5"},
        {"type": f"Number.{'x' * 300}", "value": "5"},
        {"type": "String", "value": ""},
        {"type": "String", "value": 5},
        {"type": "String", "value": "5", "more": 1},
        {"type": "Binary", "value": "no base64"},
    ],
)
def test_a_wrong_typed_attribute_is_refused(open_viewer: OpenViewer, store: Store, attribute: Any) -> None:
    sent = {"body": "x", "attributes": {"a": attribute}}

    assert open_viewer(store).post("/api/messages/exact", json=sent).status_code == 400


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("topic", "", "topic is required"),
        ("topic", 5, "topic should be a text"),
        ("group_id", [], "group_id should be a text"),
        ("group_id", "x" * 129, "group_id should be"),
        ("subject", None, "subject should be a text"),
        ("copy_of", "/shop A-1", "should be source and id"),
        ("copy_of", {"source": "/shop"}, "should be source and id"),
        ("copy_of", {"source": "/shop", "id": ""}, "should be source and id"),
        ("copy_of", {"source": "/shop", "id": 5}, "should be source and id"),
    ],
)
def test_a_wrong_member_is_refused_with_the_reason(
    open_viewer: OpenViewer, store: Store, member: str, value: Any, said: str
) -> None:
    answer = open_viewer(store).post("/api/messages/exact", json={"body": "x", member: value})

    assert answer.status_code == 400, answer.text
    assert answer.json["parameter"] == member  # type: ignore[index]
    assert said in answer.json["detail"]  # type: ignore[index]


def test_binary_attributes_are_published_as_bytes(
    open_viewer: OpenViewer, create: Callable[..., Names], store: Store
) -> None:
    names = create("localstack")
    value = {"type": "Binary", "value": base64.b64encode(b"\x00\xff").decode()}

    open_viewer(store, names.topic).post(
        "/api/messages/exact", json={"body": "x", "attributes": {"a": value}}
    )

    [found] = consumed(names.queue, store)
    assert found["delivery"].message.attributes == {"a": "AP8="}


@pytest.mark.parametrize("part", [{"body": "•••"}, {"subject": "•••"}, {"attributes": {"a": "•••"}}])
def test_an_exact_body_is_not_published_with_masks_in_it(
    open_viewer: OpenViewer, store: Store, ministack: Names, part: dict[str, Any]
) -> None:
    answer = open_viewer(store, ministack.topic, redact="data.card").post(
        "/api/messages/exact", json={"body": "x", **part}
    )

    assert answer.status_code == 400
    assert "REDACT" in answer.json["detail"]  # type: ignore[index]

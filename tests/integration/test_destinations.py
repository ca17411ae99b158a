"""Where did it go? Of stored messages and of drafts, told as LocalStack and MiniStack deliver them."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg import OperationalError

from pipeline.aws import sns_client, sqs_client
from pipeline.store.taps import Taps, WatchedTopics
from pipeline.store.topics import TopicFlows
from tests.support.endpoints import (
    client,
    create_queue,
    create_topic,
    publish_and_store,
    refuse,
    subscribe,
)
from tests.support.examples import raw_arrival
from tests.support.stores import Store
from tests.support.tapping import Clock
from viewer.aws.topology_keeper import TopologyKeeper

OpenViewer = Callable[..., FlaskClient]
POLICIES: dict[str, Any] = {
    "everything": None,
    "eu": {"region": ["eu"]},
    "dear": {"price": [{"numeric": [">", 100]}]},
    "calm": {"$or": [{"alarm": [{"exists": False}]}, {"region": [{"prefix": "ap-"}]}]},
}
BODY = '{"order": {"card": "4111", "lines": [{"sku": "A-1"}]}}'


@pytest.fixture
def localstack_account(open_account: Callable[[str], dict[str, str]]) -> None:
    """An account of its own on LocalStack."""
    open_account("localstack")


@pytest.fixture
def quick_account(open_account: Callable[[str], dict[str, str]]) -> None:
    """An account of its own on the quick emulator."""
    open_account("ministack")


def open_keeper() -> TopologyKeeper:
    keeper = TopologyKeeper(sns_client(), sqs_client(5), threading.Event())
    keeper.turn()
    return keeper


def orders() -> str:
    """Create a topic with a subscription for each of the policies; return its ARN."""
    topic = create_topic("orders")
    for name, policy in POLICIES.items():
        subscribe(topic, create_queue(name), **({"FilterPolicy": policy} if policy else {}))
    return topic


def told(answer: Mapping[str, Any]) -> dict[str, tuple[bool | None, str | None]]:
    """Return what is said of each queue."""
    return {
        one["subscription"]["endpoint"].rpartition(":")[2]: (one["taken"], one["reason"])
        for one in answer["destinations"]
    }


def delivered(name: str) -> bool:
    """Return whether a queue holds a message."""
    url = client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return bool(client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))


def ask(viewer: FlaskClient, **draft: Any) -> Any:
    answer = viewer.post("/api/destinations", json={"topic": "orders", "body": "", **draft})
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.usefixtures("account")
def test_a_stored_message_went_where_its_attributes_lead(open_viewer: OpenViewer, store: Store) -> None:
    topic = orders()
    seq = publish_and_store(store, topic, BODY, region=("String", "us"), price=("Number", "150.5"))
    viewer = open_viewer(store, topic, topology=open_keeper())

    answer = viewer.get(f"/api/messages/{seq}/destinations").json

    assert answer is not None
    assert told(answer) == {
        "everything": (True, None),
        "eu": (False, 'region is "us", the policy wants "eu"'),
        "dear": (True, None),
        "calm": (True, None),
    }
    assert (answer["topic"], answer["unknown"]) == ("orders", None)
    assert answer["note"] == (
        "by the filter policies as they are now, not as they were when the message was published"
    )
    assert {name for name in ("eu", "dear") if delivered(name)} == {"dear"}


@pytest.mark.usefixtures("localstack_account")
def test_a_draft_would_go_where_its_body_and_attributes_lead(open_viewer: OpenViewer, store: Store) -> None:
    topic = orders()
    subscribe(
        topic,
        create_queue("lamps"),
        FilterPolicy={"order": {"lines": {"sku": ["B-2", {"prefix": "L-"}]}}},
        FilterPolicyScope="MessageBody",
    )
    viewer = open_viewer(store, topic, topology=open_keeper(), read_only=True)

    tags = {"type": "String.Array", "value": '["eu", "us"]'}
    answer = ask(viewer, body=BODY, attributes={"region": tags, "price": 7, "alarm": "red"})

    assert told(answer) == {
        "everything": (True, None),
        "eu": (True, None),
        "dear": (False, "price is 7, the policy wants a number > 100"),
        "calm": (
            False,
            'no alternative is met: alarm is "red", the policy wants none and region is "eu" and "us", '
            'the policy wants a text that begins with "ap-"',
        ),
        "lamps": (
            False,
            'order.lines.sku is "A-1", the policy wants "B-2" or a text that begins with "L-"',
        ),
    }
    assert told(ask(viewer, topic=topic, body="no JSON"))["lamps"] == (False, "the body is not a JSON object")
    assert answer["note"] == "by the filter policies as they are now"


@pytest.mark.usefixtures("localstack_account")
def test_what_is_no_filter_policy_is_told_apart(open_viewer: OpenViewer, store: Store) -> None:
    topic = create_topic("orders")
    gone = create_queue("gone")
    subscribe(topic, gone)
    subscribe(topic, create_queue("theirs"), FilterPolicy={"a": [{"exists": True}]})
    subscribe(topic, "http://127.0.0.1:1/hook", "http")
    client("sqs").delete_queue(QueueUrl=client("sqs").get_queue_url(QueueName="gone")["QueueUrl"])
    sns = sns_client()
    refuse(sns, "GetSubscriptionAttributes")
    blind = TopologyKeeper(sns, sqs_client(5), threading.Event())
    blind.turn()

    known = told(ask(open_viewer(store, topic, topology=open_keeper())))
    unknown = told(ask(open_viewer(store, topic, topology=blind)))

    assert known["gone"] == (True, "its queue does not exist")
    assert known["1/hook"] == (False, "the subscription is not confirmed")
    assert unknown["theirs"] == (None, "its filter policy is not known")


@pytest.mark.usefixtures("localstack_account")
def test_a_message_of_an_unknown_topic_has_no_destinations(open_viewer: OpenViewer, store: Store) -> None:
    topic = create_topic("orders")
    store.add([raw_arrival("hello")])
    seq = store.find(limit=1)[0].seq
    viewer = open_viewer(store, topic, topology=open_keeper())

    def unknown(answer: Any) -> str:
        assert answer["destinations"] == []
        return str(answer["unknown"])

    assert unknown(viewer.get(f"/api/messages/{seq}/destinations").json) == (
        "it is not known to which topic it was published"
    )
    assert unknown(ask(viewer, topic="other")) == "there is no topic other on this endpoint"
    assert viewer.get("/api/messages/999/destinations").status_code == 404
    unread = open_viewer(store, topic)
    assert unknown(ask(unread)) == "the topics of the endpoint are not known: they are being read"


def test_while_the_endpoint_is_away_the_viewer_says_so(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)
    assert viewer.get("/api/topology").json["topics"] == []  # type: ignore[index]

    away = TopologyKeeper(sns_client(), sqs_client(5), threading.Event())
    away.turn()
    viewer = open_viewer(store, topology=away)

    assert "Could not connect" in ask(viewer)["unknown"]
    [gap] = viewer.get("/api/topology").json["gaps"]  # type: ignore[index]
    assert gap["action"] == "endpoint"


@pytest.mark.parametrize(
    ("draft", "parameter"),
    [
        ({"body": ""}, "topic"),
        ({"topic": "orders"}, "body"),
        ({"topic": "orders", "body": 5}, "body"),
        ({"topic": "orders", "body": "", "attributes": []}, "attributes"),
        ({"topic": "orders", "body": "", "attributes": {"a": True}}, "attributes"),
        ({"topic": "orders", "body": "", "attributes": {"a": {"type": "String"}}}, "attributes"),
        ({"topic": "orders", "body": "", "attributes": {str(n): "x" for n in range(101)}}, "attributes"),
        ({"topic": "orders", "body": "", "extra": 1}, "extra"),
    ],
)
def test_a_draft_that_is_none_is_refused(
    open_viewer: OpenViewer, store: Store, draft: dict[str, Any], parameter: str
) -> None:
    answer = open_viewer(store).post("/api/destinations", json=draft)

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["parameter"] == parameter


def test_what_needs_a_token_needs_it_here_too(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, viewer_token="x" * 20)

    assert viewer.get("/api/topology").status_code == 401
    assert viewer.post("/api/destinations", json={"topic": "a", "body": ""}).status_code == 401


# ---- REDACT

REDACT = "data.order.card,attr.token"


@pytest.mark.usefixtures("localstack_account")
def test_no_word_holds_a_masked_value(open_viewer: OpenViewer, store: Store) -> None:
    topic = create_topic("orders")
    policies: dict[str, tuple[str, Any]] = {
        "everything": ("MessageAttributes", None),
        "card": ("MessageBody", {"order": {"card": ["5500", {"prefix": "43"}]}}),
        "right-card": ("MessageBody", {"order": {"card": ["4111"]}}),
        "token": ("MessageAttributes", {"token": [{"anything-but": ["s3cr3t"]}]}),
        "either": ("MessageAttributes", {"$or": [{"token": ["0ther"]}, {"region": ["eu"]}]}),
        "sku": ("MessageBody", {"order": {"lines": {"sku": ["B-2"]}}}),
    }
    for name, (scope, policy) in policies.items():
        given = {"FilterPolicy": policy, "FilterPolicyScope": scope} if policy else {}
        subscribe(topic, create_queue(name), **given)
    seq = publish_and_store(store, topic, BODY, token=("String", "s3cr3t"), region=("String", "us"))
    viewer = open_viewer(store, topic, topology=open_keeper(), redact=REDACT)

    answer = viewer.get(f"/api/messages/{seq}/destinations")
    everything = answer.text + viewer.get("/api/topology").text

    assert [
        secret for secret in ("4111", "5500", "43", "s3cr3t", "0ther") if f'"{secret}' in everything
    ] == []
    assert answer.json is not None
    assert told(answer.json) == {
        "everything": (True, None),
        "card": (False, "order.card does not match (its value is masked)"),
        "right-card": (True, None),
        "token": (False, "token does not match (its value is masked)"),
        "either": (
            False,
            "no alternative is met: token does not match (its value is masked) and "
            'region is "us", the policy wants "eu"',
        ),
        "sku": (False, 'order.lines.sku is "A-1", the policy wants "B-2"'),
    }
    shown = {
        one["subscription"]["endpoint"].rpartition(":")[2]: one["subscription"]["filter_policy"]
        for one in answer.json["destinations"]
    }
    assert shown["card"] == {"order": {"card": "•••"}}
    assert shown["either"] == {"$or": [{"token": "•••"}, {"region": ["eu"]}]}


@pytest.mark.usefixtures("localstack_account")
@pytest.mark.parametrize(
    "body",
    [
        '{"specversion": "1.0", "data": {"order": {"card": "4111"}}}',
        '{"Message": "{\\"order\\": {\\"card\\": \\"4111\\"}}", "order": {"card": "4111"}}',
        '{"order.card": "4111"}',
        '{"order": [{"CARD": "4111"}], "order": {"card": ["4111"]}}',
    ],
)
def test_no_shape_of_a_body_makes_a_masked_value_known(
    open_viewer: OpenViewer, store: Store, body: str
) -> None:
    topic = create_topic("orders")
    paths = ("order.card", "data.order.card", "order", "Message", "order.CARD", "data.order", "x")
    for number, path in enumerate(paths):
        for which, condition in enumerate(("x", {"prefix": "y"}, {"exists": False})):
            subscribe(
                topic,
                create_queue(f"q-{number}-{which}"),
                FilterPolicy={path: [condition]},
                FilterPolicyScope="MessageBody",
            )
    viewer = open_viewer(store, topic, topology=open_keeper(), redact=REDACT)

    answer = ask(viewer, body=body)

    assert "4111" not in json.dumps(answer["destinations"])
    assert len(answer["destinations"]) == 3 * len(paths)


@pytest.mark.usefixtures("localstack_account")
def test_a_draft_with_a_mask_in_it_is_refused(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, redact=REDACT)
    for draft in ({"body": '{"card": "•••"}'}, {"body": "", "attributes": {"token": "•••"}}):
        answer = viewer.post("/api/destinations", json={"topic": "orders", **draft})
        assert answer.status_code == 400
        assert "REDACT" in answer.text


# ---- what flows


@pytest.mark.usefixtures("quick_account")
def test_topics_tell_what_was_seen_of_them_and_queues_how_their_depth_changed(
    open_viewer: OpenViewer, store: Store
) -> None:
    topic = create_topic("orders")
    create_topic("quiet")
    subscribe(topic, create_queue("everything"))
    subscribe(topic, create_queue("billing"))
    seq = publish_and_store(store, topic, "hello")
    keeper = TopologyKeeper(sns_client(), sqs_client(5), threading.Event(), clock := Clock())
    keeper.turn()
    client("sns").publish(TopicArn=topic, Message="again")
    clock.now += 10
    keeper.turn()

    answer: Any = open_viewer(store, topic, topology=keeper).get("/api/topology").json

    orders, quiet = answer["topics"]
    assert (orders["last_minute"], orders["last_message"]["seq"]) == (1, seq)
    assert (quiet["last_minute"], quiet["last_message"]) == (0, None)
    assert answer["slot_seconds"] == 10
    billing, _ = answer["queues"]
    assert billing["depths"] == [1, 2]
    assert billing["oldest_sent_at"] is not None


@pytest.mark.usefixtures("quick_account")
def test_the_topology_is_seen_while_the_store_is_away(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topic("orders")
    viewer = open_viewer(store, "orders", topology=open_keeper())

    def fail(*_: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(TopicFlows, "read", fail)
    answer: Any = viewer.get("/api/topology")

    assert answer.status_code == 200
    [topic] = answer.json["topics"]
    assert (topic["name"], topic["last_minute"], topic["last_message"]) == ("orders", None, None)


# ---- many


@pytest.mark.usefixtures("localstack_account")
def test_the_topology_of_many_topics_is_answered_at_once(open_viewer: OpenViewer, store: Store) -> None:
    for number in range(100):
        topic = create_topic(f"topic-{number}")
        for which in range(3):
            subscribe(topic, create_queue(f"queue-{number}-{which}"), FilterPolicy={"n": [which]})
    viewer = open_viewer(store, topology=open_keeper())

    began = time.thread_time()  # of this thread, however busy the machine is
    answer = viewer.get("/api/topology").json
    seconds = time.thread_time() - began

    assert answer is not None
    assert sum(len(topic["subscriptions"]) for topic in answer["topics"]) == 300
    assert len(answer["queues"]) == 300
    assert seconds < 0.5


@pytest.mark.usefixtures("account")
def test_the_subscription_of_the_tap_is_fanouts_own(open_viewer: OpenViewer, store: Store) -> None:
    """Also while its consumer is away."""
    topic = orders()
    for name in ("fanout-tap", "fanout-tap-of-somebody-else"):
        subscribe(topic, create_queue(name))
    subscribe(topic, "arn:aws:sqs:us-east-1:999999999999:fanout-tap")
    Taps(store.database).tell(WatchedTopics("fanout-tap", ["orders"], [], []))
    with store.connection() as connection:
        connection.execute("UPDATE taps SET seen_at = seen_at - interval '1 hour'")
    viewer = open_viewer(store, "orders", topology=open_keeper())

    answer: Any = viewer.post("/api/destinations", json={"topic": "orders", "body": "x"}).json

    subscriptions = [one["subscription"] for one in answer["destinations"]]
    [own] = [one for one in subscriptions if one["own"]]
    assert own["endpoint"].endswith(":fanout-tap")
    assert "999999999999" not in own["endpoint"]
    [listed] = viewer.get("/api/topology").json["topics"]  # type: ignore[index]
    assert [one for one in listed["subscriptions"] if one["own"]] == [own]

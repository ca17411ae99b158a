"""Consumer and viewer on an endpoint that refuses, and on one where much is odd.

Whatever is wrong is one line in the log and on the page, and the other topics are watched as ever.
"""

import json
import string
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.endpoints import client, create_queue, create_topic, subscribe
from tests.support.ports import closed_port
from tests.support.refusing_proxy import DENIED, REASONS, THROTTLED, RefusingProxy
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.tapping import TAP, publish_to, tapped
from tests.support.waiting import wait_for

StartService = Callable[..., Service]
EVERY_CHARACTER = f"{string.ascii_letters}{string.digits}-_"


@pytest.fixture
def proxy(
    open_account: Callable[[str], dict[str, str]], ministack_port: int
) -> Iterator[tuple[RefusingProxy, dict[str, str]]]:
    """The proxy, and the variables that lead through it to an account of its own."""
    account = open_account("ministack")
    proxy = RefusingProxy(ministack_port)
    yield proxy, {**account, "AWS_ENDPOINT_URL": proxy.url}
    proxy.close()


class Watching:
    """A consumer with WATCH, and a viewer."""

    def __init__(self, start: StartService, store: Store, account: dict[str, str], watch: str = "*") -> None:
        environment = {**account, "DATABASE_URL": store.url}
        self.store = store
        self.consumer = start("consumer", {**environment, "WATCH": watch, "WATCH_ONLY": "1"}, wait=False)
        self.viewer = start("viewer", environment)
        wait_for(self.consumer.answers)

    def previews(self) -> list[str]:
        with self.store.connection() as connection:
            return sorted(preview for (preview,) in connection.execute("SELECT preview FROM messages"))

    def problems(self) -> list[str]:
        """Return what the page says of the tap."""
        taps = self.viewer.get("/api/pipeline").json()["taps"]
        return [line for tap in taps for line in tap["problems"]]

    def topology(self) -> Any:
        return self.viewer.get("/api/topology").json()

    def ready(self) -> Any:
        return self.consumer.get("/health?probe=readiness").json()

    def warnings(self) -> Counter[str]:
        """Return what the consumer and the viewer warned of, and how often."""
        lines = [json.loads(line) for one in (self.consumer, self.viewer) for line in one.log().splitlines()]
        return Counter(
            f"{one['message']}: {one.get('reason', '')}"
            for one in lines
            if one["level"] in ("WARNING", "ERROR", "CRITICAL")
        )


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessageBatch"])
def test_a_tap_that_may_not_be_read_is_said_on_the_page_until_it_may(
    operation: str, proxy: tuple[RefusingProxy, dict[str, str]], start: StartService, store: Store
) -> None:
    refusing, account = proxy
    topic = create_topic("orders")
    refused = refusing.refuse(operation)
    watching = Watching(start, store, account)
    wait_for(lambda: tapped() == ["orders"])
    publish_to(topic, "hello")

    why = f"when calling the {operation} operation: {REASONS[DENIED]}"
    wait_for(lambda: any(why in line for line in watching.problems()), 20)
    [line] = watching.problems()
    assert line.startswith(f"the queue {TAP} is not read: ")
    wait_for(lambda: why in watching.ready()["checks"]["tap"])
    assert [count for line, count in watching.warnings().items() if why in line] == [1]

    refusing.allow(refused)
    wait_for(lambda: watching.problems() == [], 30)
    wait_for(lambda: watching.ready()["status"] == "UP!", 20)
    assert watching.previews() == ["hello"]


def test_many_actions_that_are_refused_or_throttled_are_a_line_each_and_the_rest_is_watched(
    proxy: tuple[RefusingProxy, dict[str, str]], start: StartService, store: Store
) -> None:
    refusing, account = proxy
    topics = {name: create_topic(name) for name in ("orders", "payments", "secret")}
    subscribe(topics["orders"], create_queue("billing"))
    subscribe(topics["orders"], create_queue("vault"))
    refusing.refuse("Subscribe", DENIED, containing=":secret")
    refusing.refuse("ListSubscriptions", THROTTLED)
    refusing.refuse("GetQueueAttributes", DENIED, containing="vault")
    watching = Watching(start, store, account, watch="*,nothing-like-this-*")
    wait_for(lambda: tapped() == ["orders", "payments"])
    for name, topic in topics.items():
        publish_to(topic, name)

    wait_for(lambda: watching.previews() == ["orders", "payments"])
    wait_for(lambda: len(watching.problems()) == 3)
    assert [line.partition(":")[0] for line in sorted(watching.problems())] == [
        "no topic matches nothing-like-this-* (WATCH)",
        "not watched",
        "subscriptions cannot be listed",
    ]
    wait_for(lambda: len(watching.topology()["gaps"]) == 2)
    gaps = {gap["action"]: gap["reason"] for gap in watching.topology()["gaps"]}
    assert gaps.keys() == {"sns:ListSubscriptions", "sqs:GetQueueAttributes"}
    assert gaps["sqs:GetQueueAttributes"].endswith(f"{REASONS[DENIED]} (vault)")
    queues = {queue["name"]: queue["state"] for queue in watching.topology()["queues"]}
    assert queues["billing"] == "known"
    assert set(watching.warnings().values()) == {1}


@pytest.mark.parametrize(
    ("operation", "method"), [("GetQueueUrl", "GET"), ("GetQueueAttributes", "GET"), ("PurgeQueue", "DELETE")]
)
def test_who_may_not_look_into_a_queue_or_purge_it_is_told_so(
    operation: str,
    method: str,
    proxy: tuple[RefusingProxy, dict[str, str]],
    open_viewer: Callable[..., FlaskClient],
    store: Store,
) -> None:
    refusing, _ = proxy
    create_queue("billing")
    refused = refusing.refuse(operation)
    with refusing.before_clients():
        viewer = open_viewer(store, "orders")

    answer: Any = viewer.open("/api/waiting?queue=billing", method=method)

    assert answer.status_code == 503
    assert answer.json["detail"].startswith("SQS refuses: ")
    assert f"when calling the {operation} operation: {REASONS[DENIED]}" in answer.json["detail"]
    refusing.allow(refused)
    wait_for(lambda: viewer.open("/api/waiting?queue=billing", method=method).status_code == 200)


def test_an_endpoint_where_much_is_odd_is_watched(
    account: dict[str, str], emulator: str, start: StartService, store: Store
) -> None:
    odd, plain, leaving = create_topic(EVERY_CHARACTER), create_topic("plain"), create_topic("leaving")
    number = account["AWS_ACCESS_KEY_ID"]
    subscribe(odd, f"arn:aws:lambda:us-east-1:{number}:function:count", "lambda")
    subscribe(odd, f"http://127.0.0.1:{closed_port()}/hook", "http")
    subscribe(odd, "somebody@example.com", "email")
    subscribe(odd, "arn:aws:sqs:us-east-1:111111111111:theirs")
    subscribe(odd, f"arn:aws:sqs:us-east-1:{number}:never-made")
    subscribe(odd, create_queue(f"{EVERY_CHARACTER}-queue"), FilterPolicy={"a": [1]})
    if emulator == "ministack":  # LocalStack refuses it
        subscribe(plain, create_queue("unreadable"), FilterPolicy="{no JSON")
    watching = Watching(start, store, account, watch="*,absent-*")
    wait_for(lambda: tapped() == sorted([EVERY_CHARACTER, "plain", "leaving"]))
    publish_to(odd, "odd")
    wait_for(lambda: watching.previews() == ["odd"])

    client("sns").delete_topic(TopicArn=leaving)
    client("sqs").purge_queue(QueueUrl=client("sqs").get_queue_url(QueueName=TAP)["QueueUrl"])
    publish_to(plain, "after the purge")
    wait_for(lambda: "after the purge" in watching.previews())
    client("sqs").delete_queue(QueueUrl=client("sqs").get_queue_url(QueueName=TAP)["QueueUrl"])
    wait_for(lambda: watching.consumer.log().count('"tap created"') == 2, 15)
    publish_to(plain, "after the deletion")
    wait_for(lambda: "after the deletion" in watching.previews())

    wait_for(lambda: watching.problems() == ["no topic matches absent-* (WATCH)"], 30)
    wait_for(lambda: [topic["name"] for topic in watching.topology()["topics"]] == [EVERY_CHARACTER, "plain"])
    topology = watching.topology()
    assert topology["gaps"] == []
    states = {queue["name"]: queue["state"] for queue in topology["queues"]}
    assert (states["theirs"], states["never-made"]) == ("elsewhere", "missing")
    assert "Traceback" not in watching.consumer.log() + watching.viewer.log()
    # Each poller finds out by itself that the queue is gone.
    once = [n for line, n in watching.warnings().items() if not line.startswith("waiting for the tap: ")]
    assert once == [1]

"""The whole at a glance: what runs, what waits, how fast, what died; looking changes nothing."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from flask.testing import FlaskClient

from local.emulators import aws_environment
from pipeline.store.taps import Taps, WatchedTopics
from tests.support.dead_letters import die
from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.live.samples import Depths, Samples, sample_end

OpenViewer = Callable[..., FlaskClient]


def json_of(viewer: FlaskClient, path: str) -> Any:
    answer = viewer.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_each_service_is_told_with_its_state_and_reason(
    open_viewer: OpenViewer,
    start: Callable[..., Service],
    store: Store,
    ministack: Names,
    database_url: str,
) -> None:
    consumer = start("consumer", {**ministack.environment, "DATABASE_URL": database_url})
    nobody = closed_port()
    peers = f"consumer={consumer.url},producer=http://127.0.0.1:{nobody}"
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue, peers=peers)

    services = json_of(viewer, "/api/pipeline")["services"]

    assert services["consumer"] == {"state": "up", "reason": None}
    assert services["viewer"] == {"state": "up", "reason": None}
    assert services["producer"]["state"] == "down"
    assert str(nobody) in services["producer"]["reason"]


def test_a_topic_is_told_with_its_state_and_what_is_wrong_with_it(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    there, missing = (
        json_of(open_viewer(store, name, queue_name=ministack.queue), "/api/pipeline")["topic"]
        for name in (ministack.topic, "no-such-topic")
    )

    assert there == {"name": ministack.topic, "state": "up", "reason": None}
    assert missing["state"] == "missing"
    assert missing["reason"] == "SNS topic no-such-topic does not exist"


def test_looking_at_a_queue_tells_all_and_changes_nothing(
    open_viewer: OpenViewer, store: Store, names: Names
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    attributes: Any = {"tenant": {"DataType": "String", "StringValue": "acme"}}
    sqs.send_message(QueueUrl=url, MessageBody="taken")
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=60, WaitTimeSeconds=1)
    sqs.send_message(QueueUrl=url, MessageBody="visible", MessageAttributes=attributes)
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=60)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)

    for _ in range(10):
        waiting = json_of(viewer, "/api/waiting")
        overview = json_of(viewer, "/api/pipeline")

    found = {one["body"]: one for one in waiting["messages"]}
    assert {body: one["state"] for body, one in found.items()} == {
        "taken": "in flight",
        "visible": "visible",
        "delayed": "delayed",
    }
    assert {body: one["receive_count"] for body, one in found.items()} == {
        "taken": 1,
        "visible": 0,
        "delayed": 0,
    }
    assert found["visible"]["attributes"] == {"tenant": "acme"}
    assert overview["queue"] | {"state": None} == {
        "name": names.queue,
        "visible": 1,
        "in_flight": 1,
        "delayed": 1,
        "state": None,
        "reason": None,
    }
    assert overview["dead_letter_queue"]["visible"] == 0
    received = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=1, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert [one["Body"] for one in received] == ["visible"]
    assert received[0]["Attributes"]["ApproximateReceiveCount"] == "1"  # this one


def test_any_queue_is_looked_into_by_its_name(open_viewer: OpenViewer, store: Store, names: Names) -> None:
    sqs, other = boto3.client("sqs"), f"{names.queue}-other.fifo"
    url = sqs.create_queue(QueueName=other, Attributes={"FifoQueue": "true"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="theirs", MessageGroupId="g", MessageDeduplicationId="d")
    viewer = open_viewer(store, names.topic, queue_name=names.queue)

    found = json_of(viewer, f"/api/waiting?queue={other}")

    assert (found["queue"]["name"], found["queue"]["visible"]) == (other, 1)
    assert [one["body"] for one in found["messages"]] == ["theirs"]
    assert json_of(viewer, "/api/waiting")["queue"]["name"] == names.queue
    missing = viewer.get("/api/waiting?queue=no-such-queue")
    assert (missing.status_code, missing.json["detail"]) == (404, "there is no queue no-such-queue")  # type: ignore[index]


def test_an_overview_without_aws_says_what_is_unknown(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)

    overview = json_of(viewer, "/api/pipeline")
    assert (overview["queue"]["state"], overview["topic"]["state"]) == ("unknown", "unknown")
    assert "Could not connect" in overview["topic"]["reason"]
    assert overview["dead_letter_queue"] is None
    assert viewer.get("/api/waiting").status_code == 503


def test_a_queue_that_does_not_exist_is_told_from_one_that_does_not_answer(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    overview = json_of(open_viewer(store, ministack.topic, queue_name="no-such-queue"), "/api/pipeline")

    assert overview["topic"]["state"] == "up"
    assert overview["queue"]["state"] == "missing"
    assert overview["queue"]["reason"] == "SQS queue no-such-queue does not exist"


def test_an_emulator_that_is_frozen_is_named_and_costs_no_time(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # accepts connections, and never answers
        for name, value in aws_environment(frozen.getsockname()[1]).items():
            monkeypatch.setenv(name, value)
        viewer = open_viewer(store, "broadcasts")
        begin = time.monotonic()

        overview = json_of(viewer, "/api/pipeline")

        assert time.monotonic() - begin < 5
        assert (overview["queue"]["state"], overview["topic"]["state"]) == ("unknown", "unknown")
        assert "no answer within 2 s" in overview["queue"]["reason"]
        assert viewer.get("/api/waiting").status_code == 503


def test_a_database_that_is_frozen_is_named_and_costs_no_time(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    thawed = threading.Event()
    monkeypatch.setattr(Samples, "figures", lambda _: thawed.wait(20))
    viewer = open_viewer(store)
    begin = time.monotonic()

    answer = viewer.get("/api/pipeline")

    thawed.set()
    assert time.monotonic() - begin < 4
    assert answer.status_code == 503
    assert (answer.json or {})["detail"].startswith("the database does not answer")


def test_figures_are_of_what_is_stored(open_viewer: OpenViewer, store: Store) -> None:
    now = datetime.now(UTC)
    store.add([arrival(number, time=now - timedelta(seconds=2)) for number in range(50)])

    figures = json_of(open_viewer(store), "/api/stats")["now"]

    assert figures["total"] == 50
    assert figures["per_second"] == 5.0
    assert figures["last_minute"] == 50
    assert 2 <= figures["p50"] <= figures["p95"] <= figures["p99"] < 5


def test_samples_outlive_the_messages_they_are_of(open_viewer: OpenViewer, store: Store) -> None:
    store.add([arrival(number) for number in range(3)])
    samples = Samples(store.database)
    covering = sample_end(datetime.now(UTC)) + timedelta(seconds=5)

    samples.record(covering, Depths(visible=7, in_flight=2, delayed=0, dead=1))
    samples.record(covering, Depths(visible=9))  # another viewer's
    viewer = open_viewer(store)
    viewer.delete("/api/messages?all=1")

    for window in ("5m", "1h", "24h"):
        stats = json_of(viewer, f"/api/stats?window={window}")
        assert sum(point["stored"] for point in stats["points"]) == 3
        assert stats["points"][-1]["visible"] == 7
        assert stats["points"][-1]["dead"] == 1
    assert viewer.get("/api/stats?window=2h").json["parameter"] == "window"  # type: ignore[index]


def test_samples_are_kept_for_a_day(store: Store) -> None:
    samples = Samples(store.database)
    now = sample_end(datetime.now(UTC))
    samples.record(now - timedelta(days=2), Depths())
    samples.record(now, Depths())

    assert len(samples.read(now - timedelta(days=3), timedelta(hours=1))) == 1


# ---- dead letters


def test_dead_letters_are_listed_with_their_reasons(open_viewer: OpenViewer, store: Store) -> None:
    die(store, "poison")

    [letter] = json_of(open_viewer(store), "/api/dead-letters")["dead_letters"]

    assert letter["preview"] == "poison"
    assert (letter["error_type"], letter["error"], letter["tries"]) == ("KeyError", "'sku'", 5)
    assert letter["traceback"].startswith("Traceback")
    assert letter["redriven_at"] is None


def test_chosen_dead_letters_go_back_to_the_queue(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    sqs = boto3.client("sqs")
    dead = sqs.get_queue_url(QueueName=f"{ministack.queue}-dlq")["QueueUrl"]
    chosen = sqs.send_message(QueueUrl=dead, MessageBody="again")["MessageId"]
    sqs.send_message(QueueUrl=dead, MessageBody="stays")
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)

    answer = viewer.post("/api/dead-letters/redrive", json={"message_ids": [chosen]})

    assert answer.status_code == 202
    assert answer.json["redrive"]["total"] == 1  # type: ignore[index]
    wait_for(lambda: json_of(viewer, "/api/dead-letters/redrive")["redrive"]["status"] == "completed")
    assert viewer.delete("/api/dead-letters/redrive").status_code == 409
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    [back] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]
    assert back["Body"] == "again"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{}", "application/json", 400),
        ('{"message_ids":[]}', "application/json", 400),
        ('{"message_ids":[1]}', "application/json", 400),
        ('{"all":true,"per_second":0}', "application/json", 400),
        ('{"all":true,"per_second":true}', "application/json", 400),
        ('{"all":true,"message_ids":["1"]}', "application/json", 400),
        ("{", "application/json", 400),
        (json.dumps({"all": True}), "text/plain", 415),
        (json.dumps({"all": True}), "application/json", 503),
    ],
)
def test_a_redrive_that_says_nothing_clear_is_refused(
    open_viewer: OpenViewer, store: Store, body: str, content_type: str, status: int
) -> None:
    answer = open_viewer(store).post("/api/dead-letters/redrive", data=body, content_type=content_type)

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"


def test_what_is_watched_is_told_and_stands_in_place_of_a_topic_of_ones_own(
    ministack: Names, store: Store, open_viewer: OpenViewer
) -> None:
    watched = WatchedTopics("fanout-tap", ["orders"], ["broadcasts"], ["no topic matches x (WATCH)"])
    Taps(store.database).tell(watched)
    told = [
        json_of(open_viewer(store, ministack.topic, queue_name=queue), "/api/pipeline")
        for queue in (ministack.queue, "fanout-tap")
    ]

    assert [overview["taps"] for overview in told] == [[asdict(watched)]] * 2
    assert told[0]["topic"]["name"] == ministack.topic
    assert told[1]["topic"] is None


def test_a_tap_that_no_consumer_keeps_is_not_told(store: Store) -> None:
    taps = Taps(store.database)
    taps.tell(WatchedTopics("fanout-tap", ["orders"]))
    with store.connection() as connection:
        connection.execute("UPDATE taps SET seen_at = seen_at - interval '101 s'")

    assert taps.read() == []

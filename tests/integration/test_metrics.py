"""What Prometheus is told: at `/metrics` of the services, of everything that became of messages."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from pipeline.health import Health, health_blueprint
from pipeline.message import new_message
from pipeline.retry import AWS_ERRORS
from producer.publish import greetings
from tests.support.consuming import publish, send
from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.publishing import TopicStandIn, publisher
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.live.samples import Depths
from viewer.metrics import report_depths

Figures = dict[str, float]


def figures_of(service: Service) -> Figures:
    """Return each figure by its name, with the values of its labels but that of the queue.

    As in `fanout_aws_requests_total/Publish`.
    """
    families = text_string_to_metric_families(service.get("/metrics").text)
    return {
        "/".join([sample.name, *(v for name, v in sample.labels.items() if name != "queue")]): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("fanout_")
    }


def test_a_consumer_counts_what_became_of_messages(
    create: Callable[..., Names], start: Callable[..., Service], database_url: str, tmp_path: Path
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    twice, poison = (
        new_message("/tests", "test.message", {"text": text}).body for text in ("twice", "poison")
    )
    environment = {**names.environment, "DATABASE_URL": database_url, "MENDED": str(tmp_path / "never")}
    consumer = start(
        "consumer", environment, HANDLER="store,tests.support.handlers:refuse_poison", POLLERS="1"
    )
    publish(names, 3)
    send(names, twice, twice, poison)

    def counted() -> bool:
        found = figures_of(consumer)
        return found.get("fanout_messages_deleted_total") == 5 and found["fanout_messages_in_flight"] == 0

    wait_for(counted)
    wait_for(lambda: figures_of(consumer).get("fanout_messages_failed_total/ValueError") == 1)
    found = figures_of(consumer)
    expected = {
        "fanout_messages_received_total": 6,
        "fanout_messages_handled_total": 5,
        "fanout_messages_duplicate_total": 1,
        "fanout_messages_dead_lettered_total": 1,
        "fanout_batch_size_messages_sum": 6,
        "fanout_end_to_end_latency_seconds_count": 5,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["fanout_handling_seconds_count"] == found["fanout_batch_size_messages_count"] >= 1
    assert 0 < found["fanout_end_to_end_latency_seconds_sum"] < 5 * 60
    assert abs(time.time() - found["fanout_last_poll_timestamp_seconds/poller-1"]) < 60


def test_a_message_in_hand_is_in_flight(
    ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url, "HANDLER_SECONDS": "60"}
    consumer = start("consumer", environment, HANDLER="tests.support.handlers:slow")
    publish(ministack, 1)

    wait_for(lambda: figures_of(consumer).get("fanout_messages_in_flight") == 1)


def test_a_full_queue_costs_two_requests_for_ten_messages_and_an_empty_one_a_long_poll(
    names: Names, start: Callable[..., Service], database_url: str
) -> None:
    publish(names, 50)
    environment = {**names.environment, "DATABASE_URL": database_url}
    consumer = start("consumer", environment, POLLERS="1", WAIT_TIME_SECONDS="20")

    wait_for(lambda: figures_of(consumer).get("fanout_messages_deleted_total") == 50)
    polls = "fanout_aws_requests_total/ReceiveMessage"
    wait_for(lambda: figures_of(consumer)[polls] == 6)
    time.sleep(2)  # in which an idle consumer that hammers would ask again
    found = figures_of(consumer)
    assert (found[polls], found["fanout_aws_requests_total/DeleteMessageBatch"]) == (6, 5)


def test_a_consumer_counts_what_it_prunes(
    ministack: Names, start: Callable[..., Service], database_url: str, store: Store
) -> None:
    store.add([arrival(number) for number in range(30)])
    environment = {**ministack.environment, "DATABASE_URL": database_url, "RETENTION_MESSAGES": "10"}
    consumer = start("consumer", environment)

    wait_for(lambda: figures_of(consumer).get("fanout_messages_pruned_total") == 20)
    assert len(store.find(limit=50)) == 10


def test_a_producer_counts_what_it_publishes(ministack: Names, start: Callable[..., Service]) -> None:
    producer = start("producer", ministack.environment, RATE_PER_SECOND="20")

    wait_for(lambda: figures_of(producer).get("fanout_messages_published_total", 0) >= 20)
    found = figures_of(producer)
    assert found["fanout_publishing_seconds_count"] == found["fanout_publish_attempts_total/answered"] >= 1
    assert found["fanout_aws_requests_total/PublishBatch"] >= found["fanout_publishing_seconds_count"]


def test_a_producer_counts_what_is_refused_and_what_fails() -> None:
    names = ("messages_published", "messages_refused", "publish_attempts/answered", "publish_attempts/failed")

    def read() -> list[float]:
        found = []
        for name in names:
            metric, _, outcome = name.partition("/")
            labels = {"outcome": outcome} if outcome else {}
            found.append(REGISTRY.get_sample_value(f"fanout_{metric}_total", labels) or 0)
        return found

    before = read()
    publisher(TopicStandIn(refuse=[2, 3], broken_calls=1)).publish(list(itertools.islice(greetings("hi"), 5)))

    assert [now - then for now, then in zip(read(), before, strict=True)] == [5, 2, 2, 1]


def test_every_service_says_of_each_check_of_readiness_whether_it_works() -> None:
    def away() -> None:
        raise AWS_ERRORS[0]

    health = Health(60, {"aws": away, "database": lambda: None})
    app = Flask("health")
    app.register_blueprint(health_blueprint(health))

    def read() -> Figures:
        families = text_string_to_metric_families(app.test_client().get("/metrics").text)
        [family] = [family for family in families if family.name == "fanout_check_ok"]
        return {sample.labels["check"]: sample.value for sample in family.samples}

    assert read().items() >= {"service": 1, "aws": 0, "database": 1}.items()
    health.drain()
    assert read()["service"] == 0


def test_a_viewer_reports_how_many_messages_wait_and_how_many_are_dead(
    ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    send(ministack, "one", "two")
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})

    wait_for(lambda: figures_of(viewer).get("fanout_queue_messages/visible") == 2)
    assert figures_of(viewer)["fanout_dead_letters"] == 0


def test_a_depth_that_is_not_known_any_more_is_not_reported() -> None:
    def read() -> list[float | None]:
        visible = REGISTRY.get_sample_value("fanout_queue_messages", {"queue": "gone", "state": "visible"})
        return [visible, REGISTRY.get_sample_value("fanout_dead_letters", {"queue": "gone"})]

    report_depths("gone", Depths(1, 2, 3, 4))
    assert read() == [1, 4]
    for _ in range(2):
        report_depths("gone", Depths())
        assert read() == [None, None]

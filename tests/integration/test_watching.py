"""A consumer that watches: every message of every topic is stored once, by the queue that brought it."""

import re
import signal
from collections import Counter
from collections.abc import Callable

import boto3
import pytest

from pipeline.store.taps import Taps
from tests.support.consuming import TestConsumer, refuse
from tests.support.emulators import Names
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.tapping import TAP, open_tap, publish_to, received, tapped
from tests.support.waiting import wait_for

StartService = Callable[..., Service]


def stored_by_queue(store: Store) -> Counter[tuple[str, str]]:
    with store.connection() as connection:
        rows = connection.execute("SELECT queue, preview FROM messages").fetchall()
    return Counter((str(queue), str(preview)) for queue, preview in rows)


def test_the_tap_and_the_own_queue_are_read_side_by_side(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    own_topic, others = create_topic("broadcasts"), [create_topic("orders"), create_topic("payments.fifo")]
    own = create_queue("broadcasts-consumer")
    subscribe(own_topic, own, RawMessageDelivery="true")
    environment = {**account, "DATABASE_URL": store.url, "QUEUE_NAME": "broadcasts-consumer", "WATCH": "*"}
    consumer, taps = start("consumer", environment, FAULTS="fail=1"), Taps(store.database)
    wait_for(lambda: "watching" in consumer.log())

    publish_to(own_topic, "own")
    for topic in others:
        publish_to(topic, "other")
    new = create_topic("new")
    wait_for(lambda: "new" in tapped(), what="the tapping of a topic that was created later")
    publish_to(new, "new")

    expected = Counter(
        {("broadcasts-consumer", "own"): 1, (TAP, "other"): 2, (TAP, "new"): 1},
    )
    wait_for(lambda: stored_by_queue(store) == expected)
    wait_for(lambda: [watched.topics for watched in taps.read()] == [["new", "orders", "payments.fifo"]])
    [watched] = taps.read()
    assert (watched.queue, watched.left_out, watched.problems) == (TAP, ["broadcasts"], [])
    metrics = consumer.get("/metrics").text
    assert f'fanout_messages_received_total{{queue="{TAP}"}} 3.0' in metrics
    assert f'fanout_tapped_topics{{queue="{TAP}"}} 3.0' in metrics
    # What FAULTS does is done to messages of the own queue.
    assert f'fanout_messages_failed_total{{queue="{TAP}"' not in metrics
    wait_for(
        lambda: (
            'failed_total{queue="broadcasts-consumer",reason="InjectedFault"}'
            in consumer.get("/metrics").text
        )
    )


def test_a_consumer_of_the_tap_alone_needs_no_queue_of_its_own(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    topic = create_topic("orders")
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "orders", "WATCH_ONLY": "1"}
    consumer = start("consumer", environment)
    assert set(consumer.get("/health?probe=readiness").json()["checks"]) == {"tap", "database"}
    wait_for(lambda: tapped() == ["orders"])

    publish_to(topic, "hi")
    wait_for(lambda: stored_by_queue(store) == {(TAP, "hi"): 1})

    consumer.process.send_signal(signal.SIGTERM)
    assert consumer.process.wait(10) == 0
    assert tapped() == ["orders"]  # so that nothing is missed until the next one starts


def test_a_deleted_tap_is_made_again_within_15_seconds(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    topic = create_topic("orders")
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "*", "WATCH_ONLY": "1"}
    consumer = start("consumer", environment)
    wait_for(lambda: tapped() == ["orders"])
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=TAP)["QueueUrl"]

    sqs.delete_queue(QueueUrl=url)

    wait_for(lambda: consumer.log().count('"tap created"') == 2, seconds=15)
    publish_to(topic, "again")
    wait_for(lambda: stored_by_queue(store) == {(TAP, "again"): 1})


@pytest.mark.parametrize("emulator", ["ministack"])
def test_a_message_of_the_tap_that_cannot_be_stored_stays_in_the_queue_until_it_can(
    account: dict[str, str], store: Store
) -> None:
    del account
    topic = create_topic("orders")
    tap = open_tap()
    tap.keep()
    names = Names("orders", TAP, {})
    consumer = TestConsumer(names, store, refuse("poison", times=8))
    publish_to(topic, "poison")

    outcome = consumer.take(9)

    assert len(outcome.failed) == 8
    assert not any(failed.last for failed in outcome.failed)
    assert [delivery.receive_count for delivery in outcome.done] == [9]


@pytest.mark.parametrize("emulator", ["ministack"])
def test_a_queue_that_is_not_ours_is_not_read_and_said_where_an_operator_looks(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    topic, theirs = create_topic("orders"), create_queue(TAP)
    subscribe(topic, theirs)
    publish_to(topic, "theirs")
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "*", "WATCH_ONLY": "1"}
    consumer = start("consumer", environment, wait=False)

    wait_for(lambda: "was not created by Fanout" in consumer.log())
    wait_for(consumer.answers)
    ready = consumer.get("/health?probe=readiness").json()

    assert "choose another name with TAP_NAME" in ready["checks"]["tap"]
    assert consumer.get("/health").status_code == 200
    assert received() == ["theirs"]
    assert consumer.log().count('"tap incomplete"') == 1


@pytest.mark.parametrize("emulator", ["ministack"])
def test_a_pattern_that_matches_nothing_is_said_once_in_the_log_and_on_the_page(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    create_topic("orders")
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "orders,refunds-*", "WATCH_ONLY": "1"}
    consumer = start("consumer", environment)
    viewer = start("viewer", {**account, "DATABASE_URL": store.url})

    def problems() -> list[list[str]]:
        return [tap["problems"] for tap in viewer.get("/api/pipeline").json()["taps"]]

    line = "no topic matches refunds-* (WATCH)"
    wait_for(lambda: problems() == [[line]])
    ready = consumer.get("/health?probe=readiness")
    assert (ready.status_code, ready.json()["warnings"]) == (200, [line])
    create_topic("refunds-eu")
    wait_for(lambda: problems() == [[]])
    assert consumer.log().count("no topic matches") == 2  # and that it is resolved


@pytest.mark.parametrize("emulator", ["localstack"])
def test_kills_lose_no_message_and_store_none_twice(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    topics = [create_topic(name) for name in ("orders", "payments", "refunds.fifo")]
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "*", "WATCH_ONLY": "1"}
    environment["VISIBILITY_TIMEOUT_SECONDS"] = "2"
    consumer = start("consumer", environment, wait=False)
    wait_for(lambda: len(tapped()) == 3)

    for number in range(120):
        publish_to(topics[number % 3], f"message {number}")
        if number % 30 == 15:
            consumer.process.kill()
            consumer = start("consumer", environment, wait=False)

    wait_for(lambda: len(stored_by_queue(store)) == 120, seconds=60)
    assert stored_by_queue(store) == {(TAP, f"message {number}"): 1 for number in range(120)}


def count_changes(consumer: Service) -> int:
    """Return how often it has subscribed or unsubscribed anything."""
    return consumer.log().count('"watching"') + consumer.log().count('"no longer watching"')


def count_turns(consumer: Service) -> float:
    """Return how often it has looked at all subscriptions."""
    found = re.search(r'operation="ListSubscriptions"} ([\d.]+)', consumer.get("/metrics").text)
    return float(found[1]) if found else 0


@pytest.mark.parametrize("emulator", ["ministack"])
def test_consumers_of_several_queues_share_a_tap_and_leave_out_what_any_of_them_reads(
    account: dict[str, str], start: StartService, store: Store
) -> None:
    topics = {name: create_topic(name) for name in ("orders", "payments", "others")}
    for name in ("orders", "payments"):
        subscribe(topics[name], create_queue(f"{name}-queue"), RawMessageDelivery="true")
    environment = {**account, "DATABASE_URL": store.url, "WATCH": "*"}
    first = start("consumer", environment, QUEUE_NAME="orders-queue")
    second = start("consumer", environment, QUEUE_NAME="payments-queue")

    wait_for(lambda: tapped() == ["others"])
    left_out = '"left out: read anyway"'
    wait_for(lambda: left_out in first.log() and left_out in second.log())
    # Neither undoes what the other did, once both know of each other.
    consumers = (first, second)
    changes, turns = [count_changes(one) for one in consumers], [count_turns(one) for one in consumers]
    wait_for(
        lambda: all(count_turns(one) > before + 1 for one, before in zip(consumers, turns, strict=True)), 40
    )
    assert tapped() == ["others"]
    assert [count_changes(one) for one in consumers] == changes
    for name, topic in topics.items():
        publish_to(topic, name)
    expected = {("orders-queue", "orders"): 1, ("payments-queue", "payments"): 1, (TAP, "others"): 1}
    wait_for(lambda: stored_by_queue(store) == expected)

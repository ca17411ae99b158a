"""A message with the source and id of another one but another body is kept, counted and shown."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import REGISTRY

from consumer.handler import StoreHandler
from pipeline.aws import sqs_client
from pipeline.message import ORIGINAL_ID, Delivery
from pipeline.redaction import NO_MASK
from pipeline.search.grammar import parse_search
from pipeline.store.writer import Conflict
from tests.support.consuming import TestConsumer, refuse, send, stored
from tests.support.dead_letters import fail
from tests.support.emulators import Names
from tests.support.examples import arrival, arrived_again, raw_arrival
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for


def event(text: str, **more: Any) -> str:
    members = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order", "data": {"text": text}}
    return json.dumps(members | more)


def envelope(text: str, **more: Any) -> str:
    members = {"Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:x:0:topic"}
    return json.dumps(members | {"Message": text, "Timestamp": "2026-01-31T12:00:00.000Z"} | more)


def test_another_body_of_a_known_identity_is_stored_as_a_conflict(
    ministack: Names, store: Store, open_viewer: Callable[..., FlaskClient]
) -> None:
    consumer = TestConsumer(ministack, store)
    send(ministack, event("first"))
    consumer.take(1)
    send(ministack, event("second"), event("second"), event("first"))
    consumer.take(3)

    assert stored(store) == ["first", "second"]
    second, first = store.find(limit=10)
    assert (first.conflict_of, second.conflict_of) == (None, first.seq)
    assert REGISTRY.get_sample_value("fanout_messages_conflict_total", {"queue": ministack.queue}) == 1
    assert consumer.left_in_queue() == 0
    viewer = open_viewer(store)
    [listed] = viewer.get("/api/messages?q=status:conflict").json["messages"]  # type: ignore[index]
    assert (listed["preview"], listed["conflict_of"]) == ("second", first.seq)
    detail = viewer.get(f"/api/messages/{first.seq}").json
    assert detail is not None
    assert (detail["data"], detail["conflicts"]) == ({"text": "first"}, [second.seq])
    facets = viewer.get("/api/messages/facets").json["facets"]  # type: ignore[index]
    assert {"value": "conflict", "count": 1} in facets["status"]


def test_of_two_bodies_in_one_batch_the_second_is_the_conflict(store: Store) -> None:
    first, second = arrival("first", id="1"), arrival("second", id="1")

    added = store.add([first, second, arrived_again(second), arrived_again(first)])

    assert added == [1, Conflict(added[1].seq, of=1), "duplicate", "duplicate"]  # type: ignore[union-attr]
    assert store.conflicts(1, 10) == [added[1].seq]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda one: one, id="delivered twice"),
        pytest.param(arrived_again, id="published twice"),
        pytest.param(
            lambda one: replace(arrived_again(one), receive_count=3, message=one.message), id="tried again"
        ),
        pytest.param(
            lambda one: raw_arrival(one.message.body, attributes={"tenant": "another"}), id="other attributes"
        ),
        pytest.param(lambda one: raw_arrival(envelope(one.message.body)), id="in an envelope"),
    ],
)
def test_the_same_message_is_no_conflict(store: Store, again: Callable[[Any], Any]) -> None:
    first = arrival({"text": "nul \x00 and a lone surrogate \ud800", "n": 2**70})
    store.add([first])

    assert store.add([again(first)]) in (["duplicate"], ["retried"])


def test_what_sns_delivers_twice_is_no_conflict(store: Store) -> None:
    one = raw_arrival(envelope("hi", Signature="a"))
    other = raw_arrival(envelope("hi", Signature="b", Timestamp="2026-01-31T12:00:09.000Z"))

    assert store.add([one, other]) == [1, "duplicate"]


def test_a_conflict_stays_one_when_the_first_message_is_gone(store: Store) -> None:
    first, second = arrival("first", id="1"), arrival("second", id="1")
    store.add([first])
    store.add([second])
    store.delete(parse_search("first", datetime.now(UTC), NO_MASK))

    assert store.add([arrived_again(second)]) == ["duplicate"]
    [seq] = store.add([arrived_again(first)])

    assert isinstance(seq, int)
    assert [message.preview for message in store.find(limit=5)] == ["first", "second"]


def test_a_message_takes_no_longer_because_thousands_are_in_conflict_with_it(store: Store) -> None:
    store.add([arrival("first", id="1")])
    with store.connection() as connection:
        connection.execute("""
            INSERT INTO messages (queue, identity, content, source, id, type, time, body, preview, size,
                                  message_id, receive_count, attributes, sent_at, received_at, terms,
                                  conflict_of)
            SELECT queue, identity, sha256(number::text::bytea), source, id, type, time, body, preview, size,
                   number::text, receive_count, attributes, sent_at, received_at, '', seq
            FROM messages, generate_series(1, 60000) AS number""")
        connection.execute("ANALYZE messages")

    def shortest_seconds(deliveries: Sequence[Delivery]) -> float:
        seconds = []
        for delivery in deliveries:
            began = perf_counter()
            store.add([delivery])
            seconds.append(perf_counter() - began)
        return min(seconds)

    conflicts = [arrival(f"{number}", id="1") for number in range(30)]
    repeated = [arrived_again(delivery) for delivery in conflicts]
    assert shortest_seconds([arrival("another") for _ in range(30)]) < 0.01
    assert shortest_seconds(conflicts) < 0.01
    assert shortest_seconds(repeated) < 0.01
    assert len(store.conflicts(1, 20)) == 20


def test_of_a_message_that_comes_again_and_again_so_many_deliveries_are_kept(store: Store) -> None:
    first = arrival("first")
    store.add([first])

    for _ in range(102):
        store.add([arrived_again(first) for _ in range(10)])

    with store.connection() as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM duplicates").fetchall()
    assert count == 1000
    assert store.add([arrived_again(first)]) == ["duplicate"]


def test_every_body_is_stored_once_by_all_consumers_together(store: Store, database_url: str) -> None:
    deliveries = [arrival(f"body {number % 7}", id=str(number % 3)) for number in range(42)]
    for place, delivery in enumerate(deliveries):  # arrival() adds the time
        same = next(
            one
            for one in deliveries
            if one.message.id == delivery.message.id and (one.message.data == delivery.message.data)
        )
        deliveries[place] = replace(delivery, message=same.message)
    others = [Store(database_url) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: others[turn % 4].add(list(map(arrived_again, deliveries))), range(12)))

    found = store.find(limit=100)
    assert len(found) == 21
    assert len({(one.id, one.preview) for one in found}) == 21
    assert sum(one.conflict_of is None for one in found) == 3
    for other in others:
        other.close()


def test_a_forged_success_resolves_no_failure_of_another_message(
    create: Callable[..., Names], store: Store
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    consumer = TestConsumer(names, store, StoreHandler(store), refuse("genuine"))
    send(names, event("genuine"))
    consumer.take(1)
    wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == 1)

    send(names, event("forged"), envelope(event("forged, too")))
    consumer.take(2)

    [letter] = consumer.failures.dead_letters()
    assert (letter.preview, consumer.dead()) == ("genuine", 1)
    assert [(one.preview, one.status) for one in store.find(limit=5)][-1] == ("genuine", "dead")
    assert {
        one.status for one in store.find(parse_search("forged", datetime.now(UTC), NO_MASK), limit=5)
    } == {"conflict"}


def test_a_failed_conflict_is_not_the_failure_of_the_first(store: Store) -> None:
    first, second = arrival("first", id="1"), arrival("second", id="1")
    store.add([first, second])

    fail(store, second)

    assert [one.status for one in store.find(limit=5)] == ["dead", None]
    assert FailureRecords(store).outcomes(1) == []


def send_text(names: Names, text: str, attributes: dict[str, str]) -> str:
    sqs = sqs_client(10)
    return sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=names.queue)["QueueUrl"],
        MessageBody=text,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )["MessageId"]


def test_an_original_id_that_no_redrive_sent_counts_for_nothing(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store)
    victim = send_text(ministack, "victim", {})
    consumer.take(1)

    forged = [send_text(ministack, text, {ORIGINAL_ID: victim}) for text in ("forged", "victim")]
    consumer.take(2)

    assert stored(store) == ["forged", "victim", "victim"]
    assert {one.id for one in store.find(limit=5)} == {victim, *forged}


@pytest.mark.parametrize("attributes", [0, 9, 10])
@pytest.mark.parametrize("length", [10, 100_000])
def test_a_redriven_text_is_the_same_message_whatever_it_carries(
    create: Callable[..., Names], store: Store, attributes: int, length: int
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    text = "x" * length
    consumer = TestConsumer(names, store, StoreHandler(store), refuse(text[:200], times=2))
    original = send_text(names, text, {f"name-{number}": "value" for number in range(attributes)})
    consumer.take(1)

    def is_redriven() -> bool:
        progress = consumer.dead_letters.progress()
        return progress is not None and not progress.under_way

    for _ in range(2):  # what is sent back may die again, and be sent back again
        wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == 1)
        consumer.dead_letters.redrive([consumer.failures.dead_letters()[0].message_id])
        consumer.take(1)
        wait_for(is_redriven)

    [message] = store.find(limit=5)
    assert message.id == original
    assert len({one.message_id for one in consumer.failures.deliveries(message.seq)}) == 3
    assert consumer.failures.dead_letters() == []
    # The proof is used up: a copy that claims the same is a message of its own.
    again = send_text(names, text, {ORIGINAL_ID: original})
    consumer.take(1)
    assert {one.id for one in store.find(limit=5)} == {original, again}

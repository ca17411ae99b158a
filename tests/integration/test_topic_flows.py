"""What flows through topics, as the store tells it."""

from dataclasses import replace
from datetime import UTC, datetime

from pipeline.envelope import Publication
from pipeline.message import Delivery
from pipeline.store.topics import TopicFlows
from tests.support.examples import arrival
from tests.support.stores import Store


def of_topic(name: str | None, delivery: Delivery | None = None) -> Delivery:
    delivery = delivery or arrival()
    return replace(delivery, message=replace(delivery.message, publication=Publication(topic=name)))


def test_each_topic_has_its_last_message_and_those_of_the_last_minute(store: Store) -> None:
    sent = datetime(2026, 11, 20, 10, tzinfo=UTC)
    store.add([of_topic("old"), of_topic("orders"), of_topic(None), of_topic("orders", arrival(time=sent))])
    with store.connection() as connection:
        connection.execute("UPDATE messages SET stored_at = stored_at - interval '61 s' WHERE topic = 'old'")

    flows = TopicFlows(store.database).read(["orders", "old", "quiet"])

    assert flows.keys() == {"orders", "old"}
    assert (flows["orders"].seq, flows["orders"].time, flows["orders"].last_minute) == (4, sent, 2)
    assert flows["old"].last_minute == 0


def test_a_last_message_that_is_deleted_is_followed_by_the_one_before(store: Store) -> None:
    store.add([of_topic("orders"), of_topic("orders")])
    with store.connection() as connection:
        connection.execute("DELETE FROM messages WHERE seq = 2")

    assert TopicFlows(store.database).read(["orders"])["orders"].seq == 1


def test_a_topic_whose_name_is_longer_than_an_index_takes_is_stored_as_any(store: Store) -> None:
    name = "".join(chr(0x4E00 + number % 20_000) for number in range(100_000))

    store.add([of_topic(name), of_topic("orders")])

    assert store.newest() == 2
    assert TopicFlows(store.database).read([name, "orders"]).keys() == {"orders"}


def test_topics_are_looked_up_however_many_messages_are_stored(store: Store) -> None:
    store.add([of_topic("rare")] + [of_topic(f"topic-{number % 5}") for number in range(500)])
    with store.connection() as connection:
        connection.execute("ANALYZE messages")
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT seq FROM messages m WHERE m.topic = 'rare' AND length(m.topic) <= 256 "
            "ORDER BY m.seq DESC LIMIT 1"
        ).fetchall()

    assert "messages_topic" in str(plan)

"""The store: its schema, its order, and what it does with the same message twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pipeline.message import storable
from pipeline.redaction import NO_MASK
from pipeline.search.grammar import parse_search
from pipeline.store.failures import FailedTry
from tests.support.examples import arrival, arrived_again
from tests.support.stores import FailureRecords, Store


def test_everybody_may_create_the_schema_at_once(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(8)]
    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(Store.create_schema, stores))

    for store in stores:
        store.check()
        store.close()


def test_a_database_without_schema_is_not_ready_yet(database_url: str) -> None:
    store = Store(database_url)
    with pytest.raises(Exception, match="the schema is not created yet"):
        store.check()
    store.close()


def test_a_statement_that_is_not_answered_in_time_is_given_up(database_url: str) -> None:
    store = Store(database_url, answer_seconds=0.3)
    with (
        pytest.raises(psycopg.OperationalError, match=r"has not answered for 0\.3 s"),
        store.connection() as connection,
    ):
        connection.execute("SELECT 'too late' FROM pg_sleep(30)")

    with store.connection() as connection:
        assert connection.execute("SELECT 'in time'").fetchone() == ("in time",)
    with store.connection(patient=True) as connection:
        assert connection.execute("SELECT 'late' FROM pg_sleep(0.6)").fetchone() == ("late",)
    store.close()


def test_the_same_message_is_stored_once_by_all_consumers_together(store: Store, database_url: str) -> None:
    deliveries = [arrival(number) for number in range(50)]
    others = [Store(database_url) for _ in range(4)]

    def add(number: int) -> list[Any]:
        return others[number % 4].add([arrived_again(delivery) for delivery in deliveries])

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda number: others[number % 4].add(list(map(arrived_again, deliveries))), range(12))
        )

    new = [seq for seqs in answers for seq in seqs if isinstance(seq, int)]
    assert len(new) == len(set(new)) == 50
    assert len(store.find(limit=100)) == 50
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM duplicates").fetchone() == (11 * 50,)
    for other in others:
        other.close()


def test_of_a_message_twice_in_a_batch_the_second_is_the_duplicate(store: Store) -> None:
    first, twice, last = arrival("first"), arrival("twice"), arrival("last")

    seqs = store.add([first, twice, arrived_again(twice), last])

    assert seqs[2] == "duplicate"
    assert [message.preview for message in store.find(limit=10)] == ["last", "twice", "first"]
    assert seqs[0] < seqs[1] < seqs[3]  # type: ignore[operator]


def test_a_delivery_that_is_stored_once_more_is_no_duplicate(store: Store) -> None:
    """As after an outage: what was stored just before it, the consumer was not told of."""
    delivery = arrival("once")
    store.add([delivery])

    assert store.add([delivery]) == ["retried"]

    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM duplicates").fetchone() == (0,)
    assert [message.status for message in store.find(limit=10)] == [None]


def test_settling_the_index_leaves_nothing_for_an_insert_to_do(store: Store) -> None:
    store.add([arrival(f"message {number}") for number in range(10)])

    assert store.settle_index() > 0
    assert store.settle_index() == 0
    assert len(store.find(parse_search("message", datetime.now(UTC), NO_MASK), limit=100)) == 10


def test_durations_are_computed_from_what_is_stored(store: Store, database_url: str) -> None:
    first, second = arrival("first"), arrival("second")
    store.add([first, second])

    expected = (second.message.time - first.message.time).total_seconds()
    other = Store(database_url)
    for reader in (store, other):
        newest, oldest = reader.find(limit=10)
        assert newest.since_previous_seconds == pytest.approx(expected)
        assert oldest.since_previous_seconds is None
        assert newest.latency_seconds == pytest.approx((newest.stored_at - newest.time).total_seconds())
    other.close()


def test_what_postgresql_cannot_hold_is_written_out() -> None:
    assert storable("a\x00b\ud800c") == "a\\u0000b\\ud800c"
    assert storable("plain ünï 🙂") == "plain ünï 🙂"


def test_failures_of_messages_that_no_queue_holds_any_more_are_pruned(store: Store) -> None:
    log = FailureRecords(store)
    old, redriven, young = arrival("old"), arrival("redriven"), arrival("young")
    log.record([FailedTry(one, "KeyError", "'sku'", "", last=True) for one in (old, redriven, young)])
    with store.connection() as connection:
        connection.execute(
            "UPDATE failures SET last_failed_at = now() - interval '16 d' WHERE preview <> 'young'"
        )
        connection.execute("UPDATE failures SET redriven_at = now() WHERE preview = 'redriven'")

    assert log.prune(keep=100) == 1
    assert previews(store) == ["redriven", "young"]


def test_only_the_newest_failures_are_kept(store: Store) -> None:
    log = FailureRecords(store)
    for number in range(6):
        log.record([FailedTry(arrival(f"{number}"), "KeyError", "'sku'", "", last=True)])

    assert log.prune(keep=4) == 2
    assert log.prune(keep=4) == 0
    assert previews(store) == ["2", "3", "4", "5"]


def previews(store: Store) -> list[str]:
    with store.connection() as connection:
        return [text for (text,) in connection.execute("SELECT preview FROM failures ORDER BY preview")]


def test_a_settled_failure_is_pruned_with_its_message_and_an_open_one_stays(store: Store) -> None:
    log = FailureRecords(store)
    settled, dead, newest = arrival("settled"), arrival("dead"), arrival("newest")
    store.add([settled, dead, newest])
    log.record([FailedTry(one, "KeyError", "'sku'", "", last=True) for one in (settled, dead, newest)])
    log.resolve([settled, newest])

    assert store.prune(keep=1) == 2

    with store.connection() as connection:
        left = connection.execute("SELECT preview FROM failures ORDER BY preview").fetchall()
        tries = connection.execute("SELECT count(*) FROM failed_tries").fetchone()
    assert (left, tries) == ([("dead",), ("newest",)], (2,))

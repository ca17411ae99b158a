"""The schema evolves while older processes run, and loses nothing."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from consumer.handler import StoreHandler, Unavailable
from pipeline.redaction import NO_MASK
from pipeline.retry import DATABASE_ERRORS
from pipeline.search.grammar import parse_search
from pipeline.search.sql import Condition, Search, has_term
from pipeline.store.connection import Database
from pipeline.store.migrate import MIGRATIONS, SCHEMA_VERSION, Migration, SchemaMismatch, migrate
from pipeline.store.writer import Conflict, Writer
from tests.support.dead_letters import fail
from tests.support.emulators import Names
from tests.support.examples import arrival, arrived_again, raw_arrival
from tests.support.services import Service
from tests.support.stores import QUEUE, FailureRecords, Store
from tests.support.waiting import wait_for

FILLED_BY_0_1_0 = Path(__file__).parent.parent / "support" / "data" / "store_0_1_0.sql"
NEXT = Migration(
    SCHEMA_VERSION + 1, "next", b"ALTER TABLE messages ADD COLUMN extra text NOT NULL DEFAULT ''"
)

# What release 0.1.0 says to the store, shortened to the columns that matter.
INSERT_OF_0_1_0: LiteralString = """
    INSERT INTO messages (identity, source, id, type, time, body, preview, size, message_id, receive_count,
                          attributes, sent_at, received_at, terms)
    VALUES ('a', 's', 'i', 't', now(), '', '', 0, 'm', 1, '{}', now(), now(), '')
    ON CONFLICT (identity) DO NOTHING RETURNING seq"""
STATEMENTS_OF_0_1_0: dict[str, LiteralString] = {
    "insert": INSERT_OF_0_1_0,
    "find": "SELECT seq FROM messages m WHERE seq > 0 ORDER BY m.seq LIMIT 10",
    "newest": "SELECT coalesce(max(seq), 0) FROM messages",
    "record": """INSERT INTO failures (message_id, identity, source, id, type, time, preview, body,
                                       attributes, error_type, error, traceback, tries)
                 VALUES ('m', 'a', 's', 'i', 't', now(), '', '', '{}', '', '', '', 1)
                 ON CONFLICT (message_id) DO UPDATE SET tries = excluded.tries""",
    "is any open": "SELECT EXISTS (SELECT FROM failures WHERE resolved_at IS NULL)",
    "resolve": "UPDATE failures SET resolved_at = clock_timestamp() WHERE identity = ANY('{a}')",
    "delete": "DELETE FROM messages m WHERE true",
}


@pytest.fixture
def old_database_url(database_url: str) -> str:
    """A database that release 0.1.0 has filled."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FILLED_BY_0_1_0.read_bytes())
    return database_url


@pytest.fixture
def old_store(old_database_url: str) -> Iterator[Store]:
    store = Store(old_database_url)
    yield store
    store.close()


def test_a_store_of_release_0_1_0_is_migrated_with_its_data(old_store: Store) -> None:
    old_store.create_schema()

    found = old_store.find(limit=50)
    assert [(one.seq, one.id, one.status, one.tries) for one in found] == [
        (8, "retry", "retried", 2),
        (7, "poison", "dead", 5),
        (5, "copy", None, 1),
        (4, "m-4", None, 1),
        (3, "m-3", None, 1),
        (2, "A-2", None, 1),
        (1, "A-1", "duplicate", 1),
    ]
    whole = old_store.get(2)
    assert whole is not None
    assert (whole.queue, "12345678901234567890" in whole.body) == (QUEUE, True)
    records = FailureRecords(old_store)
    [letter] = records.dead_letters()
    assert (letter.queue, letter.message_id, letter.error, letter.tries) == (QUEUE, "m-7", "no price", 5)
    assert [one.receive_count for one in records.deliveries(7) if one.failed_at] == [1, 2, 3, 4, 5]
    assert [
        one.id for one in old_store.find(parse_search("sku:A-1 text:first", letter.time, NO_MASK), limit=5)
    ] == ["A-1"]


def test_a_migrated_store_goes_on_where_it_was(old_store: Store) -> None:
    old_store.create_schema()
    first, poison = (old_store.get(seq) for seq in (1, 7))
    assert first
    assert poison

    assert old_store.add([raw_arrival(first.body), arrival()]) == ["duplicate", 10]
    assert old_store.add([arrival("forged", id="A-2", source="/shop")]) == [Conflict(12, of=2)]
    records = FailureRecords(old_store)
    records.resolve([arrival("forged", id="poison", source="/shop")])
    assert [letter.id for letter in records.dead_letters()] == ["poison"]
    records.resolve([replace(raw_arrival(poison.body), message_id="m-7")])
    assert records.dead_letters() == []


@pytest.mark.parametrize("statement", STATEMENTS_OF_0_1_0.values(), ids=STATEMENTS_OF_0_1_0.keys())
def test_to_release_0_1_0_a_migrated_store_is_an_outage(old_store: Store, statement: LiteralString) -> None:
    """It waits for an OperationalError; any other would fail the message."""
    old_store.create_schema()

    with (
        psycopg.connect(old_store.url, autocommit=True) as connection,
        pytest.raises(psycopg.OperationalError),
    ):
        connection.execute(statement)


def test_migrating_twice_and_at_once_changes_nothing(old_store: Store) -> None:
    threads = [threading.Thread(target=old_store.create_schema) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(old_store.find(limit=50)) == 7
    with old_store.connection() as connection:
        versions = connection.execute("SELECT version FROM migrations ORDER BY version").fetchall()
    assert versions == [(one.version,) for one in MIGRATIONS]


def test_a_migration_that_was_merged_after_a_later_one_is_applied(old_store: Store) -> None:
    migrate(old_store.database, QUEUE, [one for one in MIGRATIONS if one.name != "conflicts"])

    old_store.create_schema()

    assert len(old_store.add([arrival()])) == 1
    assert len(old_store.find(limit=50)) == 8


def test_identities_are_unique_within_a_queue(store: Store) -> None:
    one = arrival({"text": "the same"}, id="1")
    other = arrival({"text": "the same"}, id="1", queue="another")

    assert store.add([one, other]) == [1, 2]
    assert store.add([arrived_again(other)]) == ["duplicate"]
    assert [message.status for message in store.find(limit=2)] == ["duplicate", None]


def test_a_failure_belongs_to_its_queue(store: Store) -> None:
    records = FailureRecords(store)
    one, other = (arrival(id="1", queue=queue) for queue in (QUEUE, "another"))
    store.add([one, other])
    fail(store, one, other)

    records.resolve([one])

    assert [letter.queue for letter in records.dead_letters()] == ["another"]
    assert [message.status for message in store.find(limit=2)] == ["dead", "retried"]


def test_a_process_of_an_older_release_waits_and_is_not_ready(store: Store) -> None:
    migrate(store.database, QUEUE, [*MIGRATIONS, NEXT])

    with pytest.raises(
        SchemaMismatch, match=f"version {NEXT.version}, this release knows up to {SCHEMA_VERSION}"
    ):
        store.check()
    with pytest.raises(SchemaMismatch):
        store.create_schema()
    with pytest.raises(Unavailable):
        StoreHandler(store)([arrival()])
    with pytest.raises(DATABASE_ERRORS):
        fail(store, arrival())
    assert store.find(limit=5) == []


def test_a_newer_release_is_not_ready_before_it_has_migrated(store: Store) -> None:
    newer = Database(store.url, schema_version=NEXT.version)
    try:
        with pytest.raises(Unavailable, match="the schema of the store has version"):
            StoreHandler(Writer(newer))([arrival()])
        migrate(newer, QUEUE, [*MIGRATIONS, NEXT])
        assert StoreHandler(Writer(newer))([arrival()]) == {}
    finally:
        newer.close()


def test_an_empty_database_is_not_ready(database_url: str) -> None:
    store = Store(database_url)
    with pytest.raises(SchemaMismatch, match="not created yet"):
        store.check()
    store.close()


@pytest.mark.parametrize(
    "damage", ["DROP TABLE duplicates, messages", "ALTER TABLE messages DROP COLUMN preview"]
)
def test_a_missing_table_or_column_is_an_outage(store: Store, damage: LiteralString) -> None:
    with store.connection() as connection:
        connection.execute(damage)

    with pytest.raises(Unavailable):
        StoreHandler(store)([arrival()])
    with pytest.raises(DATABASE_ERRORS):
        store.find(limit=1)


def test_a_consumer_waits_for_a_schema_that_it_does_not_know(
    ministack: Names, store: Store, start: Callable[..., Service]
) -> None:
    """It is alive, not ready, and says why."""
    migrate(store.database, QUEUE, [*MIGRATIONS, NEXT])
    environment: dict[str, Any] = {**ministack.environment, "DATABASE_URL": store.url}

    consumer = start("consumer", environment, wait=False)

    wait_for(lambda: "upgrade this service" in consumer.log())
    readiness = consumer.get("/health?probe=readiness")
    assert consumer.get("/health").json() == {"status": "UP!"}
    assert (readiness.status_code, "upgrade" in readiness.json()["checks"]["database"]) == (503, True)


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [one.version for one in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_migrated_message_counts_from_when_sqs_took_it(old_store: Store) -> None:
    old_store.create_schema()

    first, *_, last = old_store.find(limit=50)[::-1]
    whole = old_store.get(first.seq)

    assert whole is not None
    assert (first.time, first.event_time) == (whole.sent_at, datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert last.time == old_store.get(last.seq).sent_at  # type: ignore[union-attr]
    [letter] = FailureRecords(old_store).dead_letters()
    assert letter.time == min(one.sent_at for one in FailureRecords(old_store).deliveries(7))


def test_a_migrated_message_says_nothing_of_how_it_was_published_but_its_queue(old_store: Store) -> None:
    old_store.create_schema()

    seqs = [one.seq for one in old_store.find(limit=50)]
    by_queue = Condition("", has_term(f"queue={QUEUE}"))
    assert [one.seq for one in old_store.find(Search((by_queue,)), limit=50)] == seqs
    whole = old_store.get(1)
    assert whole is not None
    assert (whole.queue, whole.topic, whole.subject, whole.attribute_types) == (QUEUE, None, None, None)
    letter = FailureRecords(old_store).dead_letter("m-7")
    assert letter is not None
    assert (letter.topic, letter.attribute_types) == (None, None)


def test_a_store_that_the_last_release_filled_is_migrated_with_its_data(database_url: str) -> None:
    """The last schema without how messages were published."""
    store = Store(database_url)
    migrate(store.database, QUEUE, [one for one in MIGRATIONS if one.version <= 6])
    with store.connection() as connection:
        connection.execute("ALTER TABLE messages DISABLE TRIGGER messages_version")
        connection.execute(
            """INSERT INTO messages (queue, identity, content, source, id, type, time, body, preview, size,
                                     message_id, receive_count, attributes, sent_at, received_at, terms)
               VALUES (%s, 'a', 'c', '/s', 'i', 't', now(), 'hi', 'hi', 2, 'm', 1, '{"tenant": "acme"}',
                       now(), now(), array_to_tsvector('{hi,type=t}'))""",
            [QUEUE],
        )
        connection.execute("ALTER TABLE messages ENABLE TRIGGER messages_version")

    store.create_schema()

    for search in ("hi", "type:t"):
        found = store.find(parse_search(search, datetime.now(UTC), NO_MASK), limit=5)
        assert [(one.queue, one.topic) for one in found] == [(QUEUE, None)]
    assert store.add([arrival()]) != []
    store.close()

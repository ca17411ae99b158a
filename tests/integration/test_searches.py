"""What one reader searches for costs no other reader: searches are bounded, and have their own share."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg import sql

from local.emulators import aws_environment
from pipeline.redaction import NO_MASK, Mask
from pipeline.search.grammar import MAX_PHRASE_WORDS, MAX_SCANS, parse_search
from pipeline.search.sql import STATUSES, Condition, Search
from pipeline.search.syntax import SearchError
from pipeline.store.reader import Reader
from pipeline.store.searches import MAX_AT_ONCE, SearchTooSlow, TooManySearches
from tests.support.attacks import connect, dashes, expensive_search, fill, request
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.databases import open_databases

OpenViewer = Callable[..., FlaskClient]
SLOW = Search((Condition("slow", sql.SQL("pg_sleep(1) IS NOT NULL"), scans=True),))


@contextlib.contextmanager
def locked(store: Store) -> Iterator[None]:
    """Let every query of messages wait."""
    with psycopg.connect(store.url, options="-c search_path=fanout_store") as connection:
        connection.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        yield


def running_searches(store: Store) -> int:
    """Return how many searches the server is busy with."""
    with store.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock'"
            " AND datname = current_database() AND query LIKE '%WITH found AS%'"
        ).fetchone()
        assert row is not None
        return int(row[0])


def test_a_search_of_too_many_phrases_is_refused(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)

    assert viewer.get("/api/messages", query_string={"q": expensive_search(0)}).status_code == 200
    answer = viewer.get("/api/messages", query_string={"q": expensive_search(0, MAX_SCANS + 1)})

    assert answer.status_code == 400
    assert "at most 12 phrases" in answer.json["detail"]  # type: ignore[index]


def test_a_phrase_of_very_many_words_costs_few_index_lookups() -> None:
    words = "-".join(f"word{number}" for number in range(100))

    for text in (words, f'"{words}"', dashes()):
        found = parse_search(text, datetime.now(UTC), NO_MASK).sql.as_string(None)
        assert 1 <= found.count("@@") <= MAX_PHRASE_WORDS
    with pytest.raises(SearchError):
        parse_search(" ".join([dashes(5)] * (MAX_SCANS + 1)), datetime.now(UTC), NO_MASK)


def test_a_long_phrase_still_finds_its_message(store: Store) -> None:
    text = " ".join(f"word{number}" for number in range(50))
    store.add([arrival(text), arrival(text.replace("word25", "other"))])

    [found] = store.find(parse_search(f'"{text}"', datetime.now(UTC), NO_MASK), limit=10)

    assert found.seq == 1


def test_an_index_answers_a_choice_of_phrases(store: Store) -> None:
    fill(store, 300, 2_000, at_once=300)
    search = parse_search('unicorn OR (rhino "zoo x-ray" OR "a rare-bird")', datetime.now(UTC), NO_MASK)
    query = sql.SQL("EXPLAIN SELECT m.seq FROM {} WHERE {}").format(search.source, search.sql)

    with store.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in connection.execute(query))

    assert plan.count("Bitmap Index Scan on messages_terms") >= 3
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("search", ["hello", '-(hello OR "a phrase")'])
def test_a_search_that_takes_too_long_is_ended_on_the_server_and_says_what_to_do(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    monkeypatch.setattr("viewer.databases.SEARCH_SECONDS", 0.2)
    viewer = open_viewer(store)
    with locked(store):
        answer = viewer.get("/api/messages/facets", query_string={"q": search})
        assert running_searches(store) == 0

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "took too long" in answer.json["detail"]  # type: ignore[index]
    assert "type:shop.order" in answer.json["detail"]  # type: ignore[index]
    assert viewer.get("/api/messages/facets?q=hello").status_code == 200


def test_the_page_of_a_search_that_takes_too_long_says_so_in_its_place(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.databases.SEARCH_SECONDS", 0.01)
    fill(store, 5, 150_000, at_once=5)
    viewer = open_viewer(store)
    wait_for(lambda: viewer.get("/").status_code == 200)

    page = viewer.get("/", query_string={"q": expensive_search(0)})

    assert page.status_code == 200
    assert "took too long" in page.text


def test_many_slow_searches_leave_everybody_else_their_connections(store: Store) -> None:
    store.add([arrival("hello")])
    databases = open_databases(store.url)
    reader = Reader(databases.store, databases.searches)

    def search(_: int) -> str:
        try:
            return f"found {len(reader.find(SLOW, after=0, limit=10))}"
        except TooManySearches as error:
            return str(error)

    with ThreadPoolExecutor(20) as pool:
        searching = pool.map(search, range(20))
        time.sleep(0.2)
        began = time.monotonic()
        assert len(reader.find(limit=10)) == 1
        assert len(reader.find(parse_search("hello", datetime.now(UTC), NO_MASK), limit=10)) == 1
        assert time.monotonic() - began < 0.9  # no turn of a slow one was waited for
        outcomes = list(searching)

    assert outcomes.count("found 1") >= MAX_AT_ONCE
    assert outcomes.count("too many searches are running: try again in a few seconds") >= 10


def test_a_slow_deletion_is_ended_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.reader.DELETE_SECONDS", 1)
    store.add([arrival(number) for number in range(3)])
    databases = open_databases(store.url)

    with pytest.raises(SearchTooSlow):
        Reader(databases.store, databases.searches).delete(SLOW)

    assert store.count() == 3


def test_a_search_ends_on_the_server_when_its_client_leaves(
    start: Callable[..., Service], store: Store
) -> None:
    viewer = start("viewer", {"DATABASE_URL": store.url, **aws_environment(closed_port())})
    with locked(store):
        client = connect(viewer.port, request("GET", "/api/messages/facets?q=hello"))
        wait_for(lambda: running_searches(store) == 1)
        client.close()

        wait_for(lambda: running_searches(store) == 0, 3)


def test_a_search_ends_on_the_server_when_the_viewer_is_killed(
    start: Callable[..., Service], store: Store
) -> None:
    viewer = start("viewer", {"DATABASE_URL": store.url, **aws_environment(closed_port())})
    with locked(store):
        client = connect(viewer.port, request("GET", "/api/messages/facets?q=hello"))
        wait_for(lambda: running_searches(store) == 1)
        viewer.process.kill()

        wait_for(lambda: running_searches(store) == 0, 4)
        client.close()


# ---- streams


@pytest.mark.parametrize("mask", [NO_MASK, Mask(["data.card"])], ids=["without REDACT", "with REDACT"])
def test_new_messages_are_matched_with_every_kind_of_search(store: Store, mask: Mask) -> None:
    store.add(
        [arrival({"text": "Hello, wörld"}, type="a.b", attributes={"tenant": "acme"}), arrival("other")]
    )
    matching = [
        "hello",
        '"hello, wörld"',
        "hello,",
        "type:a.*",
        "attr.tenant:acme",
        "-other",
        'other OR (unicorn OR "hello, wörld")',
        "-(other OR unicorn) hello",
        "after:1h before:2999-01-01",
        *([] if mask else ["larger:1 smaller:1m"]),
        *(f"-status:{status}" for status in STATUSES),
    ]
    texts = (*matching, "unicorn", '"wörld hello"', 'unicorn OR (hello -"hello,")')
    searches = [parse_search(text, datetime.now(UTC), mask) for text in texts]

    found = open_databases(store.url).matching.match(searches, after=0, before=2)

    assert found == [*([{1}] * len(matching)), set(), set(), set()]


def test_a_stream_whose_search_costs_too_much_ends_and_says_so_and_the_others_go_on(
    open_viewer: OpenViewer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.databases.MATCH_SECONDS", 0.001)
    viewer = open_viewer(store)
    expensive = {"q": expensive_search(0)}
    streams = [
        (chunk.decode() for chunk in viewer.get("/api/stream", query_string=query).iter_encoded())
        for query in ({}, expensive)
    ]
    assert all("event: ready" in next(stream) for stream in streams)

    fill(store, 1, 200_000, at_once=1)

    assert "event: message" in next(text for text in streams[0] if "heartbeat" not in text)
    ended = [text for text in streams[1] if "heartbeat" not in text]  # to its end
    assert len(ended) == 1
    assert ended[0].startswith("event: error\ndata: {")
    assert "match new messages" in ended[0]
    store.add([arrival("next")])
    assert "next" in next(text for text in streams[0] if "heartbeat" not in text)
    again = viewer.get("/api/stream", query_string=expensive)
    assert (again.status_code, again.headers["Retry-After"]) == (503, "5")
    assert "match new messages" in again.json["detail"]  # type: ignore[index]

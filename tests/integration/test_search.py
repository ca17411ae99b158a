"""Search: the same words find the same messages in the list, on the stream and while waiting."""

import contextlib
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.message import Delivery
from pipeline.redaction import NO_MASK, Mask
from pipeline.search.grammar import MAX_SEARCH_LENGTH, parse_search
from pipeline.search.sql import equal
from pipeline.search.syntax import SearchError
from pipeline.search.terms import MAX_TERMS, index_terms
from pipeline.store.failures import FailedTry
from pipeline.store.reader import Summary
from tests.support.examples import arrival, arrived_again, raw_arrival
from tests.support.stores import QUEUE, FailureRecords, Store
from viewer.databases import open_databases
from viewer.live import long_poll

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

ORDER = {
    "order": {"id": 12345678901234567890, "paid": True, "note": None},
    "items": [{"sku": "A-7", "price": 1.5}, {"sku": "B-8"}],
    "text": "Große Tassen, sold to 世界の人 at 50%",
    "color": "#7cc4ff",
}


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a waiting request has looked for what it waits for."""
    looked = threading.Event()
    look = long_poll.look

    def look_and_tell(*asked: Any) -> long_poll.Found:
        found = look(*asked)
        looked.set()
        return found

    monkeypatch.setattr(long_poll, "look", look_and_tell)
    return looked


@pytest.fixture
def filled(store: Store) -> Store:
    store.add(
        [
            arrival(ORDER, type="shop.order", source="/shop/1", attributes={"tenant": "acme"}, time=NOW),
            arrival({"text": "Hello world"}, type="fanout.greeting", source="/producer/a", receive_count=3),
            raw_arrival("plain: hello there, world"),
            arrival({"text": "x" * 5000}, id="big-one", attributes={"tenant": "zeta"}),
        ]
    )
    return store


def found(store: Store, text: str) -> list[int]:
    """Return which of the four messages are found, the first as 1."""
    return sorted(message.seq for message in store.find(parse_search(text, NOW, NO_MASK), limit=10))


def published(body: str, topic: str, subject: str, queue: str = QUEUE) -> Delivery:
    envelope = {"Type": "Notification", "MessageId": uuid.uuid4().hex, "TopicArn": f"arn:aws:sns:x:y:{topic}"}
    return raw_arrival(json.dumps({**envelope, "Message": body, "Subject": subject}), queue=queue)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("topic:orders", [1]),
        ("topic:ORDERS", [1]),
        ("topic:orders*", [1, 2]),
        ("-topic:orders", [2, 3]),
        ("queue:audit", [2]),
        ("queue:broad*", [1, 3]),
        ('subject:"an order"', [1]),
        ("subject:an*", [1, 2]),
        ("subject:order", []),
        ("invoice", [2]),  # a word of the subject
        ('"an order"', [1]),
        ("data.topic:news", [3]),
        ("topic:news", []),
        ("topic:orders subject:an* queue:audit", []),
    ],
)
def test_a_search_finds_by_topic_queue_and_subject(store: Store, search: str, expected: list[int]) -> None:
    store.add(
        [
            published("first", "orders", "An order"),
            published("second", "orders-eu.fifo", "An invoice", queue="audit"),
            arrival({"topic": "news"}),
        ]
    )

    assert found(store, search) == expected
    for mask in (NO_MASK, Mask(["data.card"])):
        searches = [parse_search(search, NOW, mask), equal("topic", "orders")]
        matched = open_databases(store.url).matching.match(searches, after=0, before=9)
        assert matched == [set(expected), {1}]


def test_facets_count_topics_queues_and_subjects(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    store.add([published("1", "orders", "An order"), published("2", "orders", "", queue="audit"), arrival()])

    facets = open_viewer(store).get("/api/messages/facets").json["facets"]  # type: ignore[index]

    assert facets["topic"] == [{"value": "orders", "count": 2}]
    assert facets["queue"] == [{"value": QUEUE, "count": 2}, {"value": "audit", "count": 1}]
    assert facets["subject"] == [{"value": "An order", "count": 1}]


def test_the_parameters_topic_and_queue_mean_exactly_this(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    store.add([published("1", "orders", ""), published("2", "Orders", "", queue="audit"), arrival()])
    viewer = open_viewer(store)

    def listed(query: str) -> list[int]:
        answer = viewer.get(f"/api/messages?{query}").json
        return [one["seq"] for one in answer["messages"]]  # type: ignore[index]

    assert (listed("topic=orders"), listed("queue=audit"), listed(f"queue={QUEUE}")) == ([1], [2], [3, 1])


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("hello", [2, 3]),
        ("HELLO", [2, 3]),
        ("hel", [2, 3]),  # the beginning of a word
        ("ello", []),
        ("world hello", [2, 3]),  # in any order
        ('"hello world"', [2]),  # in this order
        ('"hel"', []),  # the whole word
        ("hello -there", [2]),
        ('-"hello world"', [1, 3, 4]),
        ("große", [1]),
        ("GROSSE", [1]),
        ("世界", [1]),
        ("界の人", [1]),
        ("界世", []),
        ("50%", [1]),
        ("shop.order", [1]),
        ("12345678901234567890", [1]),
        ("type:shop.order", [1]),
        ("type:SHOP.order", [1]),
        ("type:shop", []),
        ("type:shop.*", [1]),
        ("-type:shop.*", [2, 3, 4]),
        ("source:/producer/a", [2]),
        ("source:/*", [1, 2, 3, 4]),
        ("id:big-one", [4]),
        ("attr.tenant:acme", [1]),
        ("attr.tenant:*", [1, 4]),
        ("data.order.id:12345678901234567890", [1]),
        ("data.order.id:1234567890123456789", []),
        ("data.order.paid:true", [1]),
        ("data.order.note:null", [1]),
        ("data.items.sku:B-8", [1]),
        ("data.items.price:1.5", [1]),
        ("order.paid:true", [1]),
        ("color:#7cc4ff", [1]),
        ('text:"Hello world"', [2]),
        ("larger:1k", [4]),
        ("smaller:100", [3]),
        ("status:retried", [2]),
        ("before:2026-01-31T12:00:01Z", [1]),
        ("after:2026-02-01", [2, 3, 4]),
        ("after:2000-01-01T00:00+23:00 before:2026-01-31T12:00:01-16:00", [1]),
        ("after:1s before:2026-01-31T13:00:00+01:00", []),
        ('"hello', [2, 3]),  # still being typed
        ("http://nowhere", []),
        ("-", [1, 2, 3, 4]),  # still being typed
        ("'; DROP TABLE messages; --", []),
        ("a & | ! : * \\ ' %s %(x)s", []),
        ("order OR world", [1, 2, 3]),
        ("hello world OR attr.tenant:acme", [1, 2, 3]),  # side by side binds tighter
        ("hello (world OR there) -status:retried", [3]),
        ("(type:shop.order OR type:fanout.greeting) (acme OR Tassen)", [1]),
        ("-(hello OR type:shop.order)", [4]),
        ("-(hello world)", [1, 4]),
        ("-(-hello)", [2, 3]),
        ("-hello OR there", [1, 3, 4]),
        ('type:shop.order OR "hello there"', [1, 3]),
        ('-(type:shop.order OR "hello there")', [2, 4]),
        ('unicorn OR (larger:1k OR "sold to")', [1, 4]),
        ("((hello))", [2, 3]),
        ("hello or world", []),  # words
        ("oR Or", [1]),
        ('"OR"', []),
        ("type:OR", []),
        ("-OR", [2, 3, 4]),
        ("text:(x)", []),
        ('"(hello)" OR hello(x)', []),
    ],
)
def test_a_search_finds(filled: Store, search: str, expected: list[int]) -> None:
    assert found(filled, search) == expected


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ("after:tomorrow", "after:tomorrow"),
        ("larger:big", "larger:big"),
        ("status:fine", "status:fine is not known; these are: dead, failed, lost, duplicate, retried, "),
        ("status:", "status: needs a value, e.g. status:dead"),
        ("type:", "type: needs a value, e.g. type:shop.order"),
        ("larger:", "larger: needs a value, e.g. larger:1k"),
        ("x" * (MAX_SEARCH_LENGTH + 1), "characters"),
        ("x " * 31, "conditions"),
        ("after:999999d", "after:999999d"),
        ("after:0001-01-01T00:00+14:00", "after:0001"),
        ("(a OR b", "the bracket at 1 is not closed"),
        ("a (b -(c OR (d) e)", "the bracket at 3 is not closed"),
        ("-(a", "the bracket at 2 is not closed"),
        (
            "type:(a OR b)",
            "the bracket at 6 is not closed: type: takes one value, so write (type:a OR type:b)",
        ),
        ("a)", 'the bracket at 2 was not opened: to search for it, write ")"'),
        ("f(x))", "the bracket at 5 was not opened"),
        ("a ()", "the brackets at 3 are empty"),
        ("a OR", 'OR at 3 needs a condition on either side: to search for the word, write "OR"'),
        ("OR a", "OR at 1 needs"),
        ("a OR OR b", "OR at 3 needs"),
        ("(a OR) b", "OR at 4 needs"),
        ("a OR(b OR -)", "OR at 8 needs"),
        ("(status:) x", "status: needs a value, e.g. status:dead"),
        ("(" * 11 + "a" + ")" * 11, "at most 10 brackets in each other"),
        ("(" * 500, "at most 10 brackets in each other"),
        ("(x OR x) " * 16, "at most 30 conditions"),
        ('("a b" OR "b c" OR "c d") ' * 5, "at most 12 phrases"),
    ],
)
def test_a_search_that_means_nothing_is_refused_with_the_reason(
    open_viewer: Callable[..., FlaskClient], store: Store, search: str, reason: str
) -> None:
    with pytest.raises(SearchError, match=re.escape(reason)):
        parse_search(search, NOW, NO_MASK)

    answer = open_viewer(store).get("/api/messages", query_string={"q": search})
    assert answer.status_code == 400
    assert answer.json["parameter"] == "q"  # type: ignore[index]


@given(st.text(max_size=200))
def test_whatever_is_typed_is_a_search_or_refused(text: str) -> None:
    with contextlib.suppress(SearchError):
        parse_search(text, NOW, NO_MASK)


ATOMS = [
    "hello",
    "wor",
    "unicorn",
    '"hello world"',
    "50%",
    "type:shop.order",
    "attr.tenant:*",
    "order.paid:true",
    "status:retried",
    "larger:100",
    "before:2026-01-31T12:00:01Z",
]
EVERY = frozenset({1, 2, 3, 4})
Tree = tuple[str, frozenset[int]]  # a search, and what it should find


@st.composite
def trees(draw: st.DrawFn, atoms: Mapping[str, frozenset[int]], depth: int = 3) -> Tree:
    """Draw a search of conditions side by side, OR, brackets and negation."""
    if not depth or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(sorted(atoms.items())))
    side = st.lists(trees(atoms, depth - 1), min_size=1, max_size=2)
    sides = draw(st.lists(side, min_size=1, max_size=2))
    text = " OR ".join(" ".join(part for part, _ in side) for side in sides)
    found = frozenset().union(*(EVERY.intersection(*(seqs for _, seqs in side)) for side in sides))
    return (f"-({text})", EVERY - found) if draw(st.booleans()) else (f"({text})", found)


def test_any_combination_finds_what_its_parts_say_in_the_list_and_on_the_stream(filled: Store) -> None:
    atoms = {atom: frozenset(found(filled, atom)) for atom in ATOMS}
    matching = open_databases(filled.url).matching

    @settings(max_examples=100, deadline=None)
    @given(trees(atoms))
    def combine(tree: Tree) -> None:
        text, expected = tree
        search = parse_search(text, NOW, NO_MASK)
        assert frozenset(found(filled, text)) == expected
        assert filled.count(search) == len(expected)
        assert matching.match([search], after=0, before=5) == [expected]

    combine()


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_every_data_has_terms_that_the_store_can_hold(data: Any) -> None:
    terms = index_terms(arrival(data).message, {}, "queue")

    assert all(terms)
    assert len(set(terms)) == len(terms)
    assert all(len(term.encode()) <= 2046 and "\x00" not in term for term in terms)


HOSTILE = [
    json.dumps({"\x00": "\x00", "a": "\ud800"}),
    '{"a":' * 900 + "1" + "}" * 900,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
    '{"number":1e400,"other":' + "9" * 4000 + "}",
    json.dumps({"k" * 10_000: "v" * 10_000}),
    json.dumps([f"word{number}" for number in range(80_000)]),
    "\x00\x01" * 1000,
    "x" * 1_000_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_no_content_keeps_a_message_from_being_stored(store: Store, body: str) -> None:
    event = f'{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{body}}}'
    attributes = {"\x00": "\ud800", "long": "x" * 100_000}

    seqs = store.add([raw_arrival(body, attributes=attributes), raw_arrival(event, attributes=attributes)])

    assert None not in seqs
    assert len(store.find(limit=10)) == 2
    assert store.find(parse_search("attr.long:" + "x" * 100, NOW, NO_MASK), limit=10) == []


def test_a_large_message_has_no_more_terms_than_the_index_takes() -> None:
    body = json.dumps([f"word{number}" for number in range(80_000)])

    assert len(index_terms(raw_arrival(body).message, {}, "queue")) <= MAX_TERMS


# ---- what became of a message


FATES = {
    "dead": ["dead letter", "died twice"],
    "failed": ["being redriven", "being retried"],
    "duplicate": ["came twice"],
    "retried": ["being redriven", "being retried", "died twice", "handled at last", "second try"],
}


@pytest.fixture
def fates(store: Store) -> Store:
    """One message of each fate; all are stored, as by HANDLER=store,other."""
    log = FailureRecords(store)

    def fail(delivery: Delivery, receive_count: int = 1, *, last: bool = False) -> None:
        again = replace(delivery, receive_count=receive_count, received_at=datetime.now(UTC))
        log.record([FailedTry(again, "KeyError", "'sku'", "Traceback: …", last=last)])

    names = ("dead letter", "died twice", "being redriven", "being retried", "handled at last", "came twice")
    sent = {name: arrival(name) for name in names}
    store.add([*sent.values(), arrival("fine"), arrival("second try", receive_count=2)])
    fail(sent["dead letter"], last=True)
    fail(sent["died twice"], last=True)
    fail(sent["being redriven"], 5, last=True)
    log.mark_redriven(QUEUE, None, datetime.now(UTC))
    fail(sent["dead letter"], last=True)
    # Under the new SQS id that a redrive by AWS gives.
    fail(replace(sent["died twice"], message_id="other"), 5, last=True)
    fail(sent["being retried"], 1)
    fail(sent["being retried"], 2)
    fail(sent["handled at last"], 1)
    again = replace(sent["handled at last"], receive_count=2, received_at=datetime.now(UTC))
    store.add([again, arrived_again(sent["came twice"])])
    log.resolve([again])
    return store


def previews_of(messages: Sequence[Summary]) -> list[str]:
    return sorted(message.preview for message in messages)


@pytest.mark.parametrize("status", FATES)
def test_messages_are_found_by_what_became_of_them(fates: Store, status: str) -> None:
    everything = fates.find(limit=100)

    found = fates.find(parse_search(f"status:{status}", NOW, NO_MASK), limit=100)
    others = fates.find(parse_search(f"-status:{status}", NOW, NO_MASK), limit=100)

    assert previews_of(found) == FATES[status]
    assert previews_of(found + others) == previews_of(everything)


def test_the_list_and_the_facets_tell_what_became_of_messages(
    open_viewer: Callable[..., FlaskClient], fates: Store
) -> None:
    viewer = open_viewer(fates)

    listed = viewer.get("/api/messages").json["messages"]  # type: ignore[index]
    facets = viewer.get("/api/messages/facets").json["facets"]["status"]  # type: ignore[index]

    assert {message["preview"]: (message["status"], message["tries"]) for message in listed} == {
        "dead letter": ("dead", 1),
        "died twice": ("dead", 5),
        "being redriven": ("failed", 5),
        "being retried": ("failed", 2),
        "handled at last": ("retried", 2),
        "came twice": ("duplicate", 1),
        "second try": ("retried", 2),
        "fine": (None, 1),
    }
    assert {one["value"]: one["count"] for one in facets} == {
        status: len(names) for status, names in FATES.items()
    }
    assert viewer.delete("/api/messages?q=status:dead").json == {"deleted": 2}
    exported = viewer.get("/api/messages.ndjson?q=status:failed").text.splitlines()
    assert [json.loads(line)["preview"] for line in exported] == FATES["failed"]


def test_waiting_notices_what_becomes_of_a_stored_message(
    open_viewer: Callable[..., FlaskClient], store: Store, looked: threading.Event
) -> None:
    viewer = open_viewer(store)
    poison = arrival("poison")
    store.add([poison])
    failed = FailedTry(poison, "KeyError", "'sku'", "Traceback: …", last=True)

    def fail() -> None:
        looked.wait(20)
        FailureRecords(store).record([failed])

    failing = threading.Thread(target=fail)
    failing.start()
    began = time.monotonic()
    answer = viewer.get("/api/messages?q=status:dead&wait=30").json
    failing.join()

    assert [message["preview"] for message in answer["messages"]] == ["poison"]  # type: ignore[index]
    assert time.monotonic() - began < 20


# ---- where it is used


def test_the_stream_brings_only_what_the_search_finds(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    chunks = open_viewer(store).get("/api/stream", query_string={"q": "type:wanted"}).iter_encoded()
    next(chunks)

    for number in range(30):
        store.add([arrival(number, type="wanted" if number % 10 == 0 else "other")])

    received = ""
    while received.count("event: message") < 3:
        received += next(chunks).decode()
    data = [json.loads(line[6:]) for line in received.splitlines() if line.startswith("data: ")]
    assert [message["preview"] for message in data] == ["0", "10", "20"]


def test_facets_count_the_values_of_what_is_found(
    open_viewer: Callable[..., FlaskClient], filled: Store
) -> None:
    answer = open_viewer(filled).get("/api/messages/facets", query_string={"q": "-status:retried"}).json

    assert answer == {
        "counted": 3,
        "complete": True,
        "facets": {
            "queue": [{"value": QUEUE, "count": 3}],
            "attr.tenant": [{"value": "acme", "count": 1}, {"value": "zeta", "count": 1}],
            "source": [
                {"value": "/shop/1", "count": 1},
                {"value": "/sqs/tests", "count": 1},
                {"value": "/tests", "count": 1},
            ],
            "type": [
                {"value": "fanout.text", "count": 1},
                {"value": "shop.order", "count": 1},
                {"value": "test.message", "count": 1},
            ],
        },
    }


# ---- waiting


def test_waiting_is_answered_as_soon_as_a_message_matches(
    open_viewer: Callable[..., FlaskClient], store: Store, looked: threading.Event
) -> None:
    viewer = open_viewer(store)
    store.add([arrival("before", type="order")])
    cursor = viewer.get("/api/messages?limit=1").json["cursor"]  # type: ignore[index]

    def publish() -> None:
        looked.wait(20)
        store.add([arrival("other", type="payment")])
        store.add([arrival("mine", type="order")])

    publisher = threading.Thread(target=publish)
    publisher.start()
    began = time.monotonic()
    answer = viewer.get(f"/api/messages?q=type:order&after={cursor}&wait=30").json
    publisher.join()

    assert answer is not None
    assert [message["preview"] for message in answer["messages"]] == ["mine"]
    assert "near_misses" not in answer
    assert time.monotonic() - began < 20
    assert viewer.get(f"/api/messages?after={answer['cursor']}").json["messages"] == []  # type: ignore[index]


def test_waiting_takes_what_is_stored_already_unless_told_otherwise(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    viewer = open_viewer(store)
    store.add([arrival("stored")])

    assert len(viewer.get("/api/messages?q=stored&wait=10").json["messages"]) == 1  # type: ignore[index]
    assert viewer.get("/api/messages?q=stored&wait=1&after=now").json["messages"] == []  # type: ignore[index]


def test_waiting_for_several_is_answered_when_all_are_there(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    viewer = open_viewer(store)
    publisher = threading.Thread(
        target=lambda: [store.add([arrival(number)]) for number in range(3)], daemon=True
    )
    publisher.start()

    answer = viewer.get("/api/messages?count=3&after=0&wait=10").json
    publisher.join()

    assert [message["preview"] for message in answer["messages"]] == ["2", "1", "0"]  # type: ignore[index]


def test_a_wait_that_runs_out_tells_what_came_closest_and_why_not(
    open_viewer: Callable[..., FlaskClient], filled: Store
) -> None:
    answer = open_viewer(filled).get("/api/messages?q=hello type:fanout.greeting text:Bye&wait=1").json

    assert answer is not None
    assert answer["messages"] == []
    closest = [(miss["message"]["preview"][:11], miss["failed"]) for miss in answer["near_misses"]]
    assert closest[:2] == [("Hello world", "text:Bye"), ("plain: hell", "type:fanout.greeting")]


def test_a_wait_that_runs_out_is_reported_as_a_text(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    store.add([arrival({"text": "two lamps", "sku": "B-7"}, type="shop.order")])

    answer = open_viewer(store).get("/api/messages?q=type:shop.order sku:A-1&wait=1").json

    assert answer is not None
    assert [(miss["failed"], miss["actual"]) for miss in answer["near_misses"]] == [("sku:A-1", "sku is B-7")]
    assert answer["report"].splitlines() == [
        "No message matched type:shop.order sku:A-1 within 1 s.",
        "- message 1 (shop.order: two lamps)",
        "  missed sku:A-1: sku is B-7",
    ]


def test_a_report_of_several_tells_how_many_were_found(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    store.add([arrival("one"), arrival("other")])

    answer = open_viewer(store).get("/api/messages?q=one&count=3&wait=1").json

    assert answer is not None
    assert answer["report"].startswith("1 of 3 messages matched one within 1 s.\n- message 2 ")


def test_a_near_miss_shows_no_masked_value(open_viewer: Callable[..., FlaskClient], store: Store) -> None:
    store.add([arrival({"text": "order", "card": "secret"})])

    answer = open_viewer(store, redact="data.card").get("/api/messages?q=order+nothing&wait=1").json

    assert answer is not None
    assert len(answer["near_misses"]) == 1
    assert "secret" not in str(answer)


def test_whole_messages_are_listed_and_awaited_on_demand(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    viewer = open_viewer(store)
    store.add([arrival({"order": 12345678901234567890}, attributes={"tenant": "acme"}), arrival("x")])

    for query in ("q=order", "q=order&wait=10", "q=order&wait=10&count=1&limit=1"):
        [whole] = viewer.get(f"/api/messages?{query}&include=data").json["messages"]  # type: ignore[index]
        assert whole["data"] == {"order": 12345678901234567890}
        assert whole["attributes"] == {"tenant": "acme"}
        assert json.loads(whole["body"])["data"] == whole["data"]
    both = viewer.get("/api/messages?include=data").json["messages"]  # type: ignore[index]
    assert [one["seq"] for one in both] == [2, 1]
    assert "data" not in viewer.get("/api/messages?q=order").json["messages"][0]  # type: ignore[index]
    assert viewer.get("/api/messages?include=body").status_code == 400


def test_whole_messages_are_bounded_together(
    open_viewer: Callable[..., FlaskClient], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.api.messages.MAX_WHOLE_BYTES", 50_000)
    viewer = open_viewer(store)
    store.add([raw_arrival("x" * 20_000) for _ in range(3)])

    refused = viewer.get("/api/messages?include=data")

    assert (refused.status_code, refused.json["parameter"]) == (400, "limit")  # type: ignore[index]
    assert len(viewer.get("/api/messages?include=data&limit=2").json["messages"]) == 2  # type: ignore[index]


def test_whole_messages_are_masked(open_viewer: Callable[..., FlaskClient], store: Store) -> None:
    store.add([arrival({"card": "secret"})])

    assert "secret" not in open_viewer(store, redact="data.card").get("/api/messages?include=data").text


def test_a_cursor_survives_the_deletion_of_messages(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    viewer = open_viewer(store)
    store.add([arrival(number) for number in range(10)])
    cursor = viewer.get("/api/messages?limit=1").json["cursor"]  # type: ignore[index]

    assert viewer.delete("/api/messages?all=1").json == {"deleted": 10}
    store.add([arrival("new")])

    [message] = viewer.get(f"/api/messages?after={cursor}&wait=5").json["messages"]  # type: ignore[index]
    assert message["preview"] == "new"


def test_deleting_takes_a_search_and_nothing_else(
    open_viewer: Callable[..., FlaskClient], filled: Store
) -> None:
    viewer = open_viewer(filled)

    assert viewer.delete("/api/messages").status_code == 400
    assert viewer.delete("/api/messages?q=").status_code == 400
    assert viewer.delete("/api/messages?qq=hello").status_code == 400
    assert viewer.delete("/api/messages?q=hello").json == {"deleted": 2}
    assert found(filled, "") == [1, 4]


def test_a_list_found_by_time_is_bounded_on_both_sides(filled: Store) -> None:
    hour = timedelta(hours=1)
    early, late = (NOW - hour).isoformat(), (NOW + hour).isoformat()

    assert found(filled, f"after:{early} before:{late}") == [1]

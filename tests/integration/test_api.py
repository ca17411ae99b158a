"""The viewer's HTTP API, on the real store."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest
from flask.testing import FlaskClient

from consumer.handler import StoreHandler, one_by_one
from pipeline.message import COPY_OF, Delivery, new_message
from pipeline.store.failures import FailedTry
from pipeline.store.migrate import SCHEMA_LOCK
from tests.support.consuming import TestConsumer, send
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.ports import closed_port
from tests.support.samples import s3_notifications
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for

OpenViewer = Callable[..., FlaskClient]


@pytest.fixture
def viewer(open_viewer: OpenViewer, store: Store) -> FlaskClient:
    return open_viewer(store)


def previews(viewer: FlaskClient, query: str = "") -> list[str]:
    answer = viewer.get(f"/api/messages{query}")
    assert answer.status_code == 200, answer.text
    return [message["preview"] for message in answer.json["messages"]]  # type: ignore[index]


# ---- the list


def test_messages_are_listed_newest_first_with_the_time_between_them(
    viewer: FlaskClient, store: Store
) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    store.add([arrival("first", time=noon)])
    store.add([arrival("second", time=noon + timedelta(seconds=1.5))])

    found = viewer.get("/api/messages").json["messages"]  # type: ignore[index]

    assert [message["preview"] for message in found] == ["second", "first"]
    assert [message["since_previous_seconds"] for message in found] == [1.5, None]
    assert found[0]["time"] == "2026-01-31T12:00:01.500000Z"


def test_an_event_of_long_ago_counts_from_when_it_was_sent(viewer: FlaskClient, store: Store) -> None:
    long_ago = datetime(2017, 4, 5, 17, 31, tzinfo=UTC)
    seqs = store.add([arrival("new"), arrival("a replay", event_time=long_ago)])

    [replay, _] = viewer.get("/api/messages").json["messages"]  # type: ignore[index]
    stats = viewer.get("/api/stats").json

    assert replay["event_time"] == "2017-04-05T17:31:00.000000Z"
    assert replay["time"] > "2026"
    assert 0 <= replay["latency_seconds"] < 10
    assert abs(replay["since_previous_seconds"]) < 10
    assert stats is not None
    assert stats["now"]["p99"] < 10
    assert previews(viewer, "?q=after:1m") == ["a replay", "new"]
    whole = viewer.get(f"/api/messages/{seqs[1]}").json
    assert whole is not None
    assert (whole["time"], whole["event_time"]) == (replay["time"], replay["event_time"])


def test_a_list_is_paged_by_cursor_in_both_directions(viewer: FlaskClient, store: Store) -> None:
    seqs = store.add([arrival(str(number)) for number in range(5)])

    assert previews(viewer, "?limit=2") == ["4", "3"]
    assert previews(viewer, f"?limit=2&before={seqs[3]}") == ["2", "1"]
    # What follows a cursor follows directly, so that nothing is passed over.
    assert previews(viewer, f"?limit=2&after={seqs[0]}") == ["2", "1"]


def test_a_list_is_filtered_by_source_type_and_time(viewer: FlaskClient, store: Store) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    store.add(
        [
            arrival("a", source="/one", type="x", time=noon),
            arrival("b", source="/one", type="y", time=noon + timedelta(hours=1)),
            arrival("c", source="/two", type="x", time=noon + timedelta(hours=2)),
        ]
    )

    assert previews(viewer, "?source=/one") == ["b", "a"]
    assert previews(viewer, "?type=x") == ["c", "a"]
    assert previews(viewer, "?since=2026-01-31T13:00:00Z") == ["c", "b"]
    assert previews(viewer, "?until=2026-01-31T15:00:00%2B02:00") == ["a"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=1_0", "limit"),
        ("before=x", "before"),
        ("before=99999999999999999999", "before"),
        ("after=-1", "after"),
        ("since=yesterday", "since"),
        ("until=2026-01-31T12:00:00", "until"),
        ("sauce=/one", "sauce"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(viewer: FlaskClient, query: str, parameter: str) -> None:
    answer = viewer.get(f"/api/messages?{query}")

    assert_problem(answer, 400)
    assert answer.json["parameter"] == parameter  # type: ignore[index]
    assert parameter in answer.json["detail"]  # type: ignore[index]


# ---- one message


def test_a_message_is_read_whole(viewer: FlaskClient, store: Store) -> None:
    [seq] = store.add([arrival({"order": 12345678901234567890}, attributes={"tenant": "acme"})])

    whole = viewer.get(f"/api/messages/{seq}").json

    assert whole is not None
    assert whole["data"] == {"order": 12345678901234567890}
    assert json.loads(whole["body"])["data"] == whole["data"]
    assert whole["attributes"] == {"tenant": "acme"}
    assert whole["deliveries"][0]["receive_count"] == 1


def test_binary_data_is_told_from_text(viewer: FlaskClient, store: Store) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    png, text = "iVBORw0KGgoA", "U3RyYcOfZQ=="
    seqs = store.add(
        [raw_arrival(json.dumps({**event, "id": data, "data_base64": data})) for data in (png, text)]
    )

    binary, readable = (viewer.get(f"/api/messages/{seq}").json for seq in seqs)

    assert binary is not None
    assert (binary["data"], binary["data_base64"], binary["preview"]) == (None, png, "9 bytes")
    assert readable is not None
    assert (readable["data"], readable["data_base64"], readable["preview"]) == ("Straße", None, "Straße")


def test_the_words_of_a_title_are_found(viewer: FlaskClient, store: Store) -> None:
    store.add([raw_arrival(sample.body) for sample in s3_notifications(datetime.now(UTC))])

    assert previews(viewer, "?q=ObjectCreated cat type:s3:*") == ["S3 ObjectCreated: photos/cat 1.jpg"]
    assert previews(viewer, "?q=source:arn:aws:s3:::photos-of-cats 2 more") == [
        "S3 ObjectRemoved: old/0.jpg and 2 more"
    ]


def test_a_message_is_read_with_every_delivery_and_what_it_came_to(
    viewer: FlaskClient, store: Store, ministack: Names
) -> None:
    answers = iter([ValueError("no price"), ValueError("no price"), None])

    @one_by_one
    def charge(_delivery: Delivery) -> None:
        if error := next(answers):
            raise error

    body = new_message("/tests", "order", {"text": "order"}).body
    send(ministack, body)
    TestConsumer(ministack, store, StoreHandler(store), charge).take(3)
    send(ministack, body)
    TestConsumer(ministack, store).take(1)

    [message] = viewer.get("/api/messages").json["messages"]  # type: ignore[index]
    whole = viewer.get(f"/api/messages/{message['seq']}").json

    assert whole is not None
    deliveries = whole["deliveries"]
    assert [
        (one["receive_count"], one["stored_at"] is not None, one["error_type"], one["error"])
        for one in deliveries
    ] == [
        (1, True, "ValueError", "no price"),
        (2, False, "ValueError", "no price"),
        (3, False, None, None),
        (1, False, None, None),
    ]
    times = [time for one in deliveries for time in (one["received_at"], one["failed_at"]) if time]
    assert times == sorted(times)
    assert deliveries[0]["message_id"] == deliveries[2]["message_id"] != deliveries[3]["message_id"]
    [outcome] = whole["outcomes"]
    assert outcome["resolved_at"] > times[-3]
    assert (outcome["dead_at"], outcome["redriven_at"]) == (None, None)
    assert (whole["status"], whole["tries"]) == ("duplicate", 3)


def test_a_copy_and_its_original_lead_to_each_other(viewer: FlaskClient, store: Store) -> None:
    original = arrival("original", id="A 1")
    dead = arrival("dead", id="B-2")
    FailureRecords(store).record([FailedTry(dead, "KeyError", "'sku'", "Traceback: …", last=True)])
    copies = [copy(original), copy(original), copy(dead)]
    seqs = store.add([original, *copies])

    whole = [viewer.get(f"/api/messages/{seq}").json for seq in seqs]
    letter = viewer.get(f"/api/dead-letters/{dead.message_id}").json

    assert [one["copies"] for one in whole] == [[seqs[2], seqs[1]], [], [], []]  # type: ignore[index]
    reference = {"source": "/tests", "id": "A 1", "seq": seqs[0], "dead_letter": None}
    assert [one["copy_of"] for one in whole[:3]] == [None, reference, reference]  # type: ignore[index]
    assert whole[3]["copy_of"] == {  # type: ignore[index]
        "source": "/tests",
        "id": "B-2",
        "seq": None,
        "dead_letter": dead.message_id,
    }
    assert letter is not None
    assert (letter["copies"], letter["copy_of"]) == ([seqs[3]], None)
    assert letter["body"] == dead.message.body
    assert len(previews(viewer, '?q=copyof:"/tests A 1"')) == 2


def copy(original: Delivery) -> Delivery:
    message = original.message
    event = {**json.loads(message.body), "id": uuid.uuid4().hex, COPY_OF: f"{message.source} {message.id}"}
    return raw_arrival(json.dumps(event))


def test_a_dead_letter_that_is_not_there_is_not_found(viewer: FlaskClient, store: Store) -> None:
    delivery = arrival("handled after all")
    FailureRecords(store).record([FailedTry(delivery, "KeyError", "'sku'", "", last=False)])

    for message_id in (delivery.message_id, "%00", "%ff", "none"):
        assert_problem(viewer.get(f"/api/dead-letters/{message_id}"), 404)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\x00 and \ud800",
        "\x1b[31mred \u202e right to left",
        '{"deep":' * 10_000 + "1" + "}" * 10_000,
        '{"nul":"\\u0000","half":"\\ud800"}',
        json.dumps({"text": "x" * 1024 * 1024}),
        '{"number":' + "9" * 5000 + "}",
    ],
    ids=["empty", "control", "escapes", "deep", "invalid escapes", "1 MiB", "huge number"],
)
def test_whatever_was_published_is_listed_and_read(viewer: FlaskClient, store: Store, body: str) -> None:
    [seq] = store.add([raw_arrival(body)])

    assert len(previews(viewer)) == 1
    assert viewer.get(f"/api/messages/{seq}").status_code == 200


def test_a_message_that_is_not_there_is_not_found(viewer: FlaskClient) -> None:
    assert_problem(viewer.get("/api/messages/1"), 404)
    assert_problem(viewer.get(f"/api/messages/{2**63}"), 404)


# ---- publishing


def test_a_published_event_keeps_its_id_and_reaches_the_queue(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    event = '{"specversion": "1.0", "id": "42", "source": "/shop", "type": "order", "data": {"sum": 1.50}}'

    answer = open_viewer(store, ministack.topic).post(
        "/api/messages", data=event, content_type="application/cloudevents+json"
    )

    assert answer.status_code == 202
    assert answer.json == {"id": "42", "source": "/shop"}
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    [received] = wait_for(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    assert received["Body"] == event


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("[]", "application/json", 400),
        ("{}", "application/json", 400),
        ('{"text":""}', "application/json", 400),
        ('{"specversion":"1.0","id":"1"}', "application/json", 400),
        ('{"message":"hello"}', "application/json", 400),
        ('{"message":{"text":"hello"},"attribute":{}}', "application/json", 400),
        ("text=hello", "application/x-www-form-urlencoded", 415),
        ("x" * (2 * 1024 * 1024 + 1), "application/json", 413),
    ],
    ids=[
        *("cut off", "deep", "list", "no text", "empty text", "half an event"),
        *("a text as message", "misspelt", "form", "too large"),
    ],
)
def test_what_cannot_be_published_is_refused(
    viewer: FlaskClient, body: str, content_type: str, status: int
) -> None:
    assert_problem(viewer.post("/api/messages", data=body, content_type=content_type), status)


def test_attributes_are_published_with_a_message_and_seen_again(
    open_viewer: OpenViewer, store: Store, names: Names
) -> None:
    consumer = TestConsumer(names, store)
    viewer = open_viewer(store, names.topic)
    event = '{"specversion": "1.0", "id": "42", "source": "/shop", "type": "order", "data": {"sum": 1.50}}'
    attributes = '{"tenant": "acme ✓", "priority": 5, "share": 1.50}'

    answer = viewer.post(
        "/api/messages",
        data=f'{{"attributes": {attributes} ,"message":\n{event}}}',
        content_type="application/json",
    )
    consumer.take(1)

    assert answer.status_code == 202
    [found] = viewer.get('/api/messages?q=attr.tenant:"acme ✓" attr.priority:5').json["messages"]  # type: ignore[index]
    message = viewer.get(f"/api/messages/{found['seq']}").json
    assert message is not None
    assert message["body"] == event
    assert message["attributes"] == {
        "type": "order",
        "source": "/shop",
        "tenant": "acme ✓",
        "priority": "5",
        "share": "1.50",
    }


@pytest.mark.parametrize(
    "message",
    [
        '{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": {"b": 1.50, "a": 2}}',
        '{"type": "t", "specversion": "1.0", "data": 12345678901234567890, "source": "/a", "id": "1"}',
        '{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "data": {"x": 1, "x": 2}}',
    ],
)
@pytest.mark.parametrize("body", ["{}", '{{"attributes": {{"a": "b"}} ,\n"message":\t{} }}'])
def test_an_event_is_published_as_it_was_written(
    open_viewer: OpenViewer, store: Store, ministack: Names, message: str, body: str
) -> None:
    answer = open_viewer(store, ministack.topic).post(
        "/api/messages", data=body.format(message), content_type="application/json"
    )

    assert answer.status_code == 202, answer.text
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    [received] = wait_for(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    assert received["Body"] == message


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ('{"text": "\\ud800"}', "text"),
        ('{"text": "hello", "more": [{"a": "\\udfff x"}]}', "more"),
        ('{"text": "hello", "more": {"\\uDC00": 1}}', "more"),
        ('{"specversion": "1.0", "id": "\\ud800", "source": "/a", "type": "t"}', "id"),
        ('{"specversion": "1.0", "id": "1", "source": "/a", "type": "\\ud800\\ud800"}', "type"),
        ('{"message": {"text": "\\ud800"}, "attributes": {"a": 1.50}}', "message"),
        ('{"text": "deep", "data": ' + "[" * 501 + "]" * 501 + "}", "data"),
        ('{"text": "deep", "data": ' + '{"x":[' * 300 + "]}" * 300 + "}", "data"),
        ('{"message": {"text": "deep", "data": ' + "[" * 954 + "]" * 954 + "}}", "message"),
        ("[" * 100_000, "body"),
        (b'{"text": "gr\xfc\xdfe"}', "body"),
        (b'{"text": "\xed\xa0\x80"}', "body"),
    ],
)
def test_what_would_be_changed_is_refused_by_the_name_of_its_member(
    viewer: FlaskClient, body: str | bytes, member: str
) -> None:
    answer = viewer.post("/api/messages", data=body, content_type="application/json")

    assert_problem(answer, 400)
    assert answer.json["parameter"] == member  # type: ignore[index]


def test_a_whole_surrogate_pair_and_a_deep_text_are_published(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    viewer = open_viewer(store, ministack.topic)

    for body in (
        '{"text": "\\ud83d\\ude00"}',
        '{"text": "\\\\ud800"}',
        f'{{"text": "x", "y": {"[" * 498 + "]" * 498}}}',
    ):
        answer = viewer.post("/api/messages", data=body, content_type="application/json")
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("depth", [900, 950, 960, 970, 980, 990, 1000])
def test_a_nested_text_is_published_or_refused(
    open_viewer: OpenViewer, store: Store, ministack: Names, depth: int
) -> None:
    viewer = open_viewer(store, ministack.topic)
    text = '{"text": "deep", "data": ' + "[" * depth + "]" * depth + "}"

    for body in (text, f'{{"message": {text}, "attributes": {{}}}}'):
        answer = viewer.post("/api/messages", data=body, content_type="application/json")
        assert answer.status_code in (202, 400), answer.text


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ([], "should be an object"),
        ({f"a{number}": "x" for number in range(9)}, "at most 8"),
        ({"type": "x"}, "type is an attribute that Fanout sets itself"),
        ({"source": "x"}, "sets itself"),
        ({"fanout-original-id": "x"}, "sets itself"),
        ({"AWS.x": "x"}, "no name"),
        ({"a..b": "x"}, "no name"),
        ({"a.": "x"}, "no name"),
        ({"": "x"}, "no name"),
        ({"ä": "x"}, "no name"),
        ({"a" * 257: "x"}, "no name"),
        ({"a": ""}, "needs a value"),
        ({"a": "\x00"}, "characters"),
        ({"a": "\ud800"}, "characters"),
        ({"a": True}, "a text or a number"),
        ({"a": float("inf")}, "a text or a number"),
        ({"a": 10**38}, "38 digits"),
        ({"a": 10**127}, "a number of at most"),
    ],
)
def test_a_wrong_attribute_is_refused_with_the_reason(
    viewer: FlaskClient, attributes: Any, said: str
) -> None:
    answer = viewer.post("/api/messages", json={"message": {"text": "hello"}, "attributes": attributes})

    assert_problem(answer, 400)
    assert answer.json["parameter"] == "attributes"  # type: ignore[index]
    assert said in answer.json["detail"]  # type: ignore[index]


@pytest.mark.parametrize(
    "number", ["1e127", "1e9999999", "1e999999999999999999999", "-1e-99999999999999999999"]
)
def test_a_number_beyond_all_bounds_is_refused(viewer: FlaskClient, number: str) -> None:
    body = f'{{"message": {{"text": "hello"}}, "attributes": {{"a": {number}}}}}'

    assert_problem(viewer.post("/api/messages", data=body, content_type="application/json"), 400)


def test_publishing_says_so_when_aws_is_away(viewer: FlaskClient) -> None:
    assert_problem(viewer.post("/api/messages", json={"text": "hello"}), 503)


# ---- the database is away


@pytest.fixture
def viewer_without_database(open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr("pipeline.store.connection.CONNECT_TIMEOUT_SECONDS", 1)
    return open_viewer(Store(f"postgresql://postgres@127.0.0.1:{closed_port()}/none"))


def test_reading_says_so_when_the_database_is_away(viewer_without_database: FlaskClient) -> None:
    assert_problem(viewer_without_database.get("/api/messages"), 503)
    assert viewer_without_database.get("/health").status_code == 200
    readiness = viewer_without_database.get("/health?probe=readiness")
    assert readiness.status_code == 503
    assert readiness.json["reason"] == "not working: database"  # type: ignore[index]


def test_the_page_says_so_when_the_database_is_away(viewer_without_database: FlaskClient) -> None:
    answer = viewer_without_database.get("/")

    assert answer.status_code == 503
    assert "The database does not answer" in answer.text


def test_reading_says_so_until_the_schema_is_created(open_viewer: OpenViewer, database_url: str) -> None:
    store = Store(database_url)
    with psycopg.connect(database_url) as creator:
        creator.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        viewer = open_viewer(store)

        for path in ("/", "/api/messages", "/api/stream", "/health?probe=readiness"):
            assert viewer.get(path).status_code == 503, path

    wait_for(lambda: viewer.get("/health?probe=readiness").status_code == 200)
    assert viewer.get("/").status_code == 200
    store.close()


def assert_problem(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]


# ---- copies


def test_a_copy_is_made_of_the_stored_message_and_nothing_in_it_is_filled_or_masked(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    data = '{"card": "4111", "text": "{{n}} {{uuid}} {{now}}", "long": 12345678901234567890, "x": 1.50}'
    event = (
        f'{{"data": {data}, "specversion": "1.0", "id": "A", "source": "/shop", "type": "order", "id": "B"}}'
    )
    [event_seq] = store.add([raw_arrival(event, attributes={"token": "secret", "type": "order"})])
    [text_seq] = store.add([raw_arrival("card: {{n}}")])
    [json_seq] = store.add([raw_arrival('{"card": ["4111"]}')])
    viewer = open_viewer(store, ministack.topic, redact="data.card,attr.token")

    for seq in (event_seq, text_seq, json_seq):
        answer = viewer.post(f"/api/messages/{seq}/copies")
        assert answer.status_code == 202, answer.text

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    received: list[Any] = []

    def all_received() -> bool:
        answer = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        received.extend(answer.get("Messages", []))
        return len(received) == 3

    wait_for(all_received)
    [copy] = [one for one in received if "fanoutcopyof" in one["Body"]]
    assert json.loads(copy["Body"])["fanoutcopyof"] == "/shop B"
    assert f'"data":{data}' in copy["Body"]
    assert json.loads(copy["Body"])["id"] not in ("A", "B")
    assert copy["MessageAttributes"]["token"]["StringValue"] == "secret"
    others = [one["Body"] for one in received if one is not copy]
    assert sorted(others) == ["card: {{n}}", '{"card": ["4111"]}']


def test_what_is_not_stored_cannot_be_copied(viewer: FlaskClient) -> None:
    assert_problem(viewer.post("/api/messages/999/copies"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "•••"},
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/a",
            "type": "t",
            "data": {"card": "•••", "x": "changed"},
        },
        {"message": {"text": "x"}, "attributes": {"token": "•••"}},
    ],
)
def test_an_edited_message_is_not_published_with_masks_in_it(
    open_viewer: OpenViewer, store: Store, ministack: Names, body: Any
) -> None:
    masked = open_viewer(store, ministack.topic, redact="data.card")

    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        answer = masked.post("/api/messages", data=text, content_type="application/json")
        assert_problem(answer, 400)
        assert "REDACT" in answer.json["detail"]  # type: ignore[index]
    assert open_viewer(store, ministack.topic).post("/api/messages", json=body).status_code == 202

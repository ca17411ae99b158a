"""The viewer's HTTP API, on the real store."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psycopg
import pytest
from flask.testing import FlaskClient

from pipeline.store import SCHEMA_LOCK, Store
from tests.conftest import Names, free_port, wait_for
from tests.examples import arrival, raw_arrival

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
        ("text=hello", "application/x-www-form-urlencoded", 415),
        ("x" * (2 * 1024 * 1024 + 1), "application/json", 413),
    ],
    ids=["cut off", "deep", "list", "no text", "empty text", "half an event", "form", "too large"],
)
def test_what_cannot_be_published_is_refused(
    viewer: FlaskClient, body: str, content_type: str, status: int
) -> None:
    assert_problem(viewer.post("/api/messages", data=body, content_type=content_type), status)


def test_publishing_says_so_when_aws_is_away(viewer: FlaskClient) -> None:
    assert_problem(viewer.post("/api/messages", json={"text": "hello"}), 503)


# ---- the database is away


@pytest.fixture
def viewer_without_database(open_viewer: OpenViewer, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr("pipeline.store.CONNECT_TIMEOUT_SECONDS", 1)
    return open_viewer(Store(f"postgresql://postgres@127.0.0.1:{free_port()}/none"))


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

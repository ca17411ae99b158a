"""Replays: what a search finds, or a file holds, is published again in order, exactly, and once."""

import itertools
import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import requests
from flask.testing import FlaskClient

from pipeline.problems import Problem
from pipeline.redaction import NO_MASK
from pipeline.store.replays import Replays, Wanted
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.endpoints import client, create_queue
from tests.support.examples import arrival, raw_arrival
from tests.support.replays import bodies_in, ended, open_topic, stored_from, texts_in
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.aws.copying import CannotCopy
from viewer.replay.replayer import Run
from viewer.replay.sources import Item

OpenViewer = Callable[..., FlaskClient]
NOW = datetime.now(UTC)
BODY = ' {"plain":  {"long": 12345678901234567890, "x": 1.50},\r\n "é": "\\u00e9"}\n'
ATTRIBUTES: dict[str, Any] = {
    "tenant": {"DataType": "String", "StringValue": "acme"},
    "level": {"DataType": "Number.int", "StringValue": "007"},
    "regions": {"DataType": "String.Array", "StringValue": '["eu", 1]'},
}


@pytest.fixture
def sink(ministack: Names) -> str:
    """A FIFO queue: what it gets, it gives in the order in which it was sent."""
    name = f"sink-{uuid.uuid4().hex}.fifo"
    assert ministack
    create_queue(name)
    return name


@pytest.fixture
def viewer(open_viewer: OpenViewer, store: Store, ministack: Names) -> FlaskClient:
    return open_viewer(store, ministack.topic, queue_name=ministack.queue)


def replay(viewer: FlaskClient, **asked: Any) -> dict[str, Any]:
    """Begin a replay and return it."""
    answer = viewer.post("/api/replays", json={"per_second": 100, **asked})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json  # type: ignore[assignment]
    return found


def outcome(viewer: FlaskClient, begun: dict[str, Any]) -> dict[str, Any]:
    return ended(lambda: viewer.get(f"/api/replays/{begun['id']}").json)  # type: ignore[arg-type,return-value]


def counts(replay: dict[str, Any]) -> tuple[int, ...]:
    return tuple(replay[name] for name in ("total", "sent", "failed", "skipped"))


def test_each_goes_back_to_its_topic_exactly_and_links_to_its_original(
    open_viewer: OpenViewer, names: Names, store: Store
) -> None:
    topics = [f"first-{names.topic}", f"second-{names.topic}"]
    for topic in topics:
        arn = open_topic(topic)
        for subject in ("one", "two"):
            client("sns").publish(TopicArn=arn, Message=BODY, Subject=subject, MessageAttributes=ATTRIBUTES)
    originals = {topic: stored_from(topic, store, 2) for topic in topics}
    viewer = open_viewer(store, names.topic, queue_name=names.queue)

    done = outcome(viewer, replay(viewer))

    assert (done["status"], counts(done)) == ("completed", (4, 4, 0, 0))
    assert (done["in_hand"], done["reason"], done["reasons"]) == (None, None, [])
    for topic, published in originals.items():
        copies = stored_from(topic, store, 2)
        pairs = zip(sorted(published, key=by_subject), sorted(copies, key=by_subject), strict=True)
        for original, copy in pairs:
            assert copy.message.body == original.message.body == BODY
            assert copy.message.attributes == original.message.attributes
            ours, theirs = copy.message.publication, original.message.publication
            assert (ours.attribute_types, ours.subject) == (theirs.attribute_types, theirs.subject)
            assert bodies_in(topic) == []
    for seq in range(5, 9):
        assert viewer.get(f"/api/messages/{seq}").json["copy_of"]["seq"] in range(1, 5)  # type: ignore[index]


def by_subject(delivery: Any) -> str:
    return str(delivery.message.publication.subject)


def test_what_was_published_first_is_sent_first(viewer: FlaskClient, store: Store, sink: str) -> None:
    """Whatever came into the store first."""
    times = {0: 3, 1: 1, 2: 2, 3: 0}
    store.add([arrival(n, time=NOW - timedelta(seconds=ago)) for n, ago in times.items()])

    done = outcome(viewer, replay(viewer, queue=sink))

    assert counts(done) == (4, 4, 0, 0)
    assert texts_in(sink) == [0, 2, 1, 3]


def test_only_what_the_search_finds_is_replayed(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n, type=f"kind.{n % 2}") for n in range(6)])

    done = outcome(viewer, replay(viewer, q="type:kind.1", queue=sink))

    assert (done["q"], counts(done)) == ("type:kind.1", (3, 3, 0, 0))
    assert texts_in(sink) == [1, 3, 5]


def test_a_replay_does_not_feed_itself(viewer: FlaskClient, store: Store, ministack: Names) -> None:
    """Its copies are stored while it runs, and the search finds them too."""
    store.add([raw_arrival(f"text {n}") for n in range(10)])
    begun = replay(viewer, q="text", topic=ministack.topic, per_second=10)

    stored_from(ministack.queue, store, 10)
    done = outcome(viewer, begun)

    assert counts(done) == (10, 10, 0, 0)
    assert bodies_in(ministack.queue) == []
    assert viewer.get("/api/messages/count?q=text").json["count"] == 20  # type: ignore[index]


def test_at_their_own_pace_messages_keep_their_gaps(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n, time=NOW + timedelta(seconds=after)) for n, after in enumerate((0, 0.4, 1.9))])

    outcome(viewer, replay(viewer, queue=sink, per_second=None))

    first, second, third = sent_times(sink)
    assert 0.3 < second - first < 0.9
    assert 1.4 < third - second < 2.2


def test_so_many_are_sent_a_second(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n) for n in range(5)])

    outcome(viewer, replay(viewer, queue=sink, per_second=5))

    for before, after in itertools.pairwise(sent_times(sink)):
        assert after - before > 0.15


def sent_times(queue: str) -> list[float]:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    return [int(one["Attributes"]["SentTimestamp"]) / 1000 for one in found]


def test_events_are_new_or_the_same(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival("x", id="A-1")])

    outcome(viewer, replay(viewer, queue=sink))
    outcome(viewer, replay(viewer, queue=sink, identity="same"))

    new, same = map(json.loads, bodies_in(sink))
    assert (new["id"] != "A-1", new["fanoutcopyof"]) == (True, "/tests A-1")
    assert same["id"] == "A-1"


def test_any_viewer_sees_it_and_cancels_it(
    viewer: FlaskClient, open_viewer: OpenViewer, store: Store, ministack: Names, sink: str
) -> None:
    store.add([arrival(n) for n in range(100)])
    begun = replay(viewer, queue=sink, per_second=10)
    other = open_viewer(store, ministack.topic)
    wait_for(lambda: other.get(f"/api/replays/{begun['id']}").json["sent"] >= 2)  # type: ignore[index]

    assert other.delete(f"/api/replays/{begun['id']}").status_code == 202

    done = outcome(viewer, begun)
    assert done["status"] == "cancelled"
    assert 2 <= done["sent"] < 100
    assert len(texts_in(sink)) == done["sent"]
    assert viewer.delete(f"/api/replays/{begun['id']}").status_code == 409
    listed: Any = viewer.get("/api/replays").json
    assert [one["id"] for one in listed["replays"]] == [begun["id"]]


def test_a_cancelled_replay_does_not_wait_for_its_gap(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n, time=NOW + timedelta(hours=n)) for n in range(2)])
    begun = replay(viewer, queue=sink, per_second=None)
    wait_for(lambda: viewer.get(f"/api/replays/{begun['id']}").json["sent"] == 1)  # type: ignore[index]

    viewer.delete(f"/api/replays/{begun['id']}")

    done = outcome(viewer, begun)
    assert (done["status"], done["sent"], done["in_hand"]) == ("cancelled", 1, None)


def test_one_replay_runs_at_a_time(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n) for n in range(50)])
    begun = replay(viewer, queue=sink, per_second=1)

    assert viewer.post("/api/replays", json={"queue": sink, "per_second": 1}).status_code == 409

    viewer.delete(f"/api/replays/{begun['id']}")
    outcome(viewer, begun)
    assert counts(outcome(viewer, replay(viewer, queue=sink))) == (50, 50, 0, 0)


def test_what_cannot_be_sent_is_counted_with_its_reason(
    viewer: FlaskClient, store: Store, ministack: Names
) -> None:
    gone = f"gone-{ministack.topic}"
    arn = open_topic(gone)
    client("sns").publish(TopicArn=arn, Message="of a topic that is gone")
    stored_from(gone, store, 1)
    client("sns").delete_topic(TopicArn=arn)
    now = datetime.now(UTC)
    store.add([raw_arrival(f"fine {n}", time=now + timedelta(seconds=2 * n)) for n in range(2)])
    store.add([raw_arrival("nul: \0", time=now + timedelta(seconds=1))])
    begun = replay(viewer, per_second=None)
    wait_for(lambda: viewer.get(f"/api/replays/{begun['id']}").json["sent"] == 1)  # type: ignore[index]
    viewer.delete("/api/messages/3")

    done = outcome(viewer, begun)

    assert (done["status"], counts(done)) == ("completed", (4, 1, 1, 2))
    reasons = {one["reason"]: (one["outcome"], one["count"], one["first"]) for one in done["reasons"]}
    assert reasons == {
        f"there is no topic {gone}": ("failed", 1, 1),
        "its body contains characters that the store cannot hold": ("skipped", 1, 4),
        "it was deleted meanwhile": ("skipped", 1, 3),
    }


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ({"q": "nothing-like-it"}, 400, "the search finds no messages"),
        ({"q": "larger:big"}, 400, ""),
        ({"per_second": 101}, 400, "per_second should be a whole number from 1 to 100"),
        ({"per_second": 0}, 400, "per_second should be"),
        ({"per_second": None}, 400, "longer than 24 hours"),
        ({"topic": "t", "queue": "q"}, 400, "cannot be given both"),
        ({"topic": "no-such-topic"}, 409, "there is no topic no-such-topic"),
        ({"queue": "no-such-queue"}, 409, "there is no queue no-such-queue"),
        ({"identity": "other"}, 400, "identity should be one of new, same"),
        ({"speed": 1}, 400, "speed is not a member here"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    viewer: FlaskClient, store: Store, asked: dict[str, Any], status: int, why: str
) -> None:
    store.add([arrival(n, time=NOW - timedelta(hours=25 * n)) for n in range(2)])

    answer = viewer.post("/api/replays", json={"per_second": 10, **asked})

    assert (answer.status_code, why in answer.json["detail"]) == (status, True), answer.text  # type: ignore[index]
    assert viewer.get("/api/replays").json == {"replays": []}


def test_more_than_the_most_are_refused(
    viewer: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.replay.sources.MAX_MESSAGES", 3)
    store.add([arrival(n) for n in range(4)])

    answer = viewer.post("/api/replays", json={"per_second": 10})

    assert answer.status_code == 400
    assert "the search finds more than 3 messages" in answer.json["detail"]  # type: ignore[index]


def test_a_search_that_takes_too_long_is_not_replayed(
    viewer: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer.replay.sources.SEARCH_SECONDS", 0)
    store.add([arrival("x")])

    answer = viewer.post("/api/replays", json={"per_second": 10})

    assert (answer.status_code, "narrow it" in answer.json["detail"]) == (503, True)  # type: ignore[index]
    assert viewer.get("/api/replays").json == {"replays": []}


def test_a_read_only_viewer_replays_nothing(open_viewer: OpenViewer, store: Store, ministack: Names) -> None:
    store.add([arrival("x")])
    viewer = open_viewer(store, ministack.topic, read_only=True)

    for answer in (
        viewer.post("/api/replays", json={"per_second": 10}),
        viewer.post("/api/replays/file?per_second=10", data=b"", content_type="application/x-ndjson"),
        viewer.delete("/api/replays/1"),
    ):
        assert answer.status_code == 403
    assert viewer.get("/api/replays").status_code == 200


@pytest.mark.parametrize("number", [0, 1, 2**63, 10**30])
def test_a_replay_that_does_not_exist_is_said_not_to(viewer: FlaskClient, number: int) -> None:
    assert viewer.get(f"/api/replays/{number}").status_code == 404
    assert viewer.delete(f"/api/replays/{number}").status_code == 404


# ---- what REDACT masks


def test_masked_values_are_sent_as_they_were_and_never_shown(
    open_viewer: OpenViewer, store: Store, ministack: Names, sink: str
) -> None:
    secret = uuid.uuid4().hex
    store.add([raw_arrival(json.dumps({"card": secret}))])
    viewer = open_viewer(store, ministack.topic, redact="data.card")

    done = outcome(viewer, replay(viewer, queue=sink))

    assert secret not in json.dumps(done)
    assert bodies_in(sink) == [json.dumps({"card": secret})]
    for guess in (f"data.card:{secret}", secret, f'"{secret[:9]}"', f"data.card:{secret[:4]}*"):
        refused = viewer.post("/api/replays", json={"q": guess, "queue": sink, "per_second": 10})
        assert refused.status_code == 400


def test_a_file_that_was_exported_with_masks_is_not_sent_as_masked(
    open_viewer: OpenViewer, store: Store, ministack: Names, sink: str
) -> None:
    store.add([raw_arrival('{"card": "1234"}'), raw_arrival('{"plain": 1}')])
    masked = open_viewer(store, ministack.topic, redact="data.card").get("/api/messages.ndjson").data
    viewer = open_viewer(store, ministack.topic)

    done = outcome(viewer, replay_file(viewer, masked, queue=sink))

    assert counts(done) == (2, 1, 0, 1)
    assert "masked" in done["reasons"][0]["reason"]
    assert bodies_in(sink) == ['{"plain": 1}']


# ---- from a file


def replay_file(viewer: FlaskClient, content: bytes, **how: Any) -> dict[str, Any]:
    answer = viewer.post(
        "/api/replays/file",
        query_string={"per_second": 100, **how},
        data=content,
        content_type="application/x-ndjson",
    )
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json  # type: ignore[assignment]
    return found


def test_an_exported_file_is_replayed_exactly(
    open_viewer: OpenViewer, names: Names, store: Store, emulator: str
) -> None:
    """Also after the store has forgotten its messages. MiniStack loses the value of Binary attributes."""
    arn = open_topic(f"source-{names.topic}")
    binary = {"signature": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    given = ATTRIBUTES | (binary if emulator == "localstack" else {})
    client("sns").publish(TopicArn=arn, Message=BODY, Subject="An order", MessageAttributes=given)
    [original] = stored_from(f"source-{names.topic}", store, 1)
    viewer = open_viewer(store, names.topic, queue_name=names.queue)
    exported = viewer.get("/api/messages.ndjson").data
    viewer.delete("/api/messages?all=1")

    done = outcome(viewer, replay_file(viewer, exported))

    assert (done["q"], counts(done)) == (None, (1, 1, 0, 0))
    [copy] = stored_from(f"source-{names.topic}", store, 1)
    assert (copy.message.body, copy.message.attributes) == (BODY, original.message.attributes)
    ours, theirs = copy.message.publication, original.message.publication
    assert (ours.attribute_types, ours.subject) == (theirs.attribute_types, theirs.subject)


def test_the_lines_of_a_file_are_sent_oldest_first(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([arrival(n, time=NOW + timedelta(seconds=n)) for n in range(3)])
    lines = viewer.get("/api/messages.ndjson").data.splitlines()

    done = outcome(viewer, replay_file(viewer, b"\n\n".join(reversed(lines)), queue=sink))

    assert counts(done) == (3, 3, 0, 0)
    assert texts_in(sink) == [0, 1, 2]


LINE = {"source": "/s", "id": "1", "body": "x", "size": 1, "time": "2026-01-31T12:00:00Z", "attributes": {}}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "no messages"),
        (b"\n \n", "no messages"),
        (b"seq,time\n1,2\n", "line 1 is no message"),
        (b"{}", "line 1 is no message"),
        (json.dumps({**LINE, "body": None}).encode(), "line 1 is no message"),
        (json.dumps({**LINE, "time": "2026-01-31T12:00:00"}).encode(), "line 1 is no message"),
        (json.dumps({**LINE, "attributes": {"a": 1}}).encode(), "line 1 is no message"),
        (json.dumps(LINE).encode() + b'\n{"source', "line 2 is no message"),
        (json.dumps(LINE)[:-1].encode() + b', "data": ' + b"[" * 99_999 + b"]" * 99_999 + b"}", "line 1"),
        (b'{"body": "\\ud800"}', "line 1 is no message"),
        (b"\xff\xfe", "line 1 is no message"),
        (b"\n" * 8 * 2**20, "more than 20,000 lines"),
        (
            json.dumps({**LINE, "attributes": {f"a{n}": "" for n in range(100_000)}}).encode(),
            "line 1 has more attributes",
        ),
        (json.dumps({**LINE, "attribute_types": {"a": 1}}).encode(), "line 1 is no message"),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_sent(
    viewer: FlaskClient, ministack: Names, line: bytes, why: str
) -> None:
    answer = viewer.post("/api/replays/file?per_second=10", data=line, content_type="application/x-ndjson")

    assert (answer.status_code, why in answer.json["detail"]) == (400, True), answer.text  # type: ignore[index]
    assert bodies_in(ministack.queue) == []


def test_hostile_lines_cost_only_themselves(viewer: FlaskClient, sink: str) -> None:
    hostile = [
        {**LINE, "attributes": {"a": "\0"}},
        {**LINE, "attributes": {"a": "x"}, "attribute_types": {"a": "Binary"}},
        {**LINE, "size": 2},
        {**LINE, "attributes": {"": "x"}},
        {**LINE, "id": "\0", "source": "\0" * 100},
        {**LINE, "topic": "\0", "group_id": "•••"},
        LINE,
    ]
    content = "\n".join(map(json.dumps, hostile)).encode()

    done = outcome(viewer, replay_file(viewer, content, queue=sink))

    assert done["status"] == "completed"
    assert done["sent"] + done["failed"] + done["skipped"] == len(hostile)
    assert "x" in bodies_in(sink)


def test_a_file_of_another_type_or_too_large_is_refused(viewer: FlaskClient) -> None:
    path = "/api/replays/file?per_second=10"
    assert viewer.post(path, data=b"{}", content_type="application/json").status_code == 415
    large = viewer.post(path, data=b"x" * (8 * 2**20 + 1), content_type="application/x-ndjson")
    assert (large.status_code, "8 MiB" in large.json["detail"]) == (413, True)  # type: ignore[index]


def test_a_file_larger_than_other_bodies_is_taken(viewer: FlaskClient, store: Store, sink: str) -> None:
    store.add([raw_arrival(f"{n} {'x' * 200_000}") for n in range(15)])
    exported = viewer.get("/api/messages.ndjson").data
    assert len(exported) > 4 * 2**20

    assert counts(outcome(viewer, replay_file(viewer, exported, queue=sink))) == (15, 15, 0, 0)


# ---- viewers that stop


@pytest.fixture
def running(
    ministack: Names, start: Callable[..., Service], database_url: str, store: Store, sink: str
) -> tuple[Service, str, int]:
    """A viewer as a process in the middle of a replay, what starts another, and the id of the replay."""
    store.add([arrival(n) for n in range(200)])
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    number = int(replay_by(viewer, sink).json()["id"])
    wait_for(lambda: viewer.get(f"/api/replays/{number}").json()["sent"] >= 5)
    return viewer, sink, number


def test_a_viewer_that_is_stopped_says_exactly_how_far_it_came(
    running: tuple[Service, str, int], ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    viewer, sink, number = running

    viewer.process.ask_to_stop()
    viewer.process.wait(10)

    other = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    done = other.get(f"/api/replays/{number}").json()
    assert (done["status"], done["reason"], done["in_hand"]) == (
        "interrupted",
        "its viewer was stopped",
        None,
    )
    assert texts_in(sink) == list(range(done["sent"]))


def test_a_replay_whose_viewer_was_killed_does_not_go_on_and_says_so(
    running: tuple[Service, str, int],
    ministack: Names,
    start: Callable[..., Service],
    database_url: str,
    store: Store,
) -> None:
    viewer, sink, number = running

    viewer.process.kill()
    viewer.process.wait(10)

    with store.connection() as connection:  # instead of waiting for half a minute
        connection.execute("UPDATE replays SET seen_at = seen_at - interval '30 seconds'")
    other = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    done = other.get(f"/api/replays/{number}").json()
    assert done["status"] == "interrupted"
    assert "its viewer has stopped" in done["reason"]
    got = texts_in(sink)
    assert got in (list(range(done["sent"])), list(range(done["sent"] + 1)))
    if len(got) > done["sent"]:
        assert done["in_hand"] == done["sent"] + 1
    assert replay_by(other, sink).status_code == 202  # another may begin
    assert other.get(f"/api/replays/{number}").json() == done


def replay_by(viewer: Service, queue: str) -> requests.Response:
    asked = {"queue": queue, "per_second": 20}
    return requests.post(f"{viewer.url}/api/replays", json=asked, timeout=10)


@pytest.fixture
def begun(store: Store) -> tuple[Replays, int]:
    """The replays of a store, and the id of one that has begun."""
    replays = Replays(store.database)
    number = replays.begin(Wanted(3, "", None, "sink", 100, None))
    assert number is not None
    return replays, number


ITEMS = [Item(number, NOW) for number in (1, 2, 3)]


def run(begun: tuple[Replays, int], send: Callable[[Item], None], stop: threading.Event | None = None) -> Any:
    """Run it with a stand-in for the endpoint, and return how it ended."""
    replays, number = begun
    Run(number, replays, send, stop or threading.Event(), NO_MASK).run(ITEMS, [0.0] * 3)
    return replays.get(number)


def test_where_the_endpoint_does_not_answer_a_replay_ends_and_says_what_may_have_been_sent(
    begun: tuple[Replays, int],
) -> None:
    asked: list[int] = []

    def send(item: Item) -> None:
        asked.append(item.number)
        if item.number == 2:
            raise Problem(503, "SNS does not take messages now: timeout")

    done = run(begun, send)

    assert asked == [1, 2]
    assert (done.status, done.sent, done.in_hand) == ("failed", 1, 2)
    assert done.reason == "SNS does not take messages now: timeout"


def test_a_store_that_is_away_meanwhile_sends_nothing_twice(begun: tuple[Replays, int]) -> None:
    """The copy is recorded before it is published: it fails then."""
    asked: list[int] = []

    def send(item: Item) -> None:
        asked.append(item.number)
        if asked == [1, 2]:
            raise psycopg.OperationalError("the database is away")

    done = run(begun, send)

    assert asked == [1, 2, 2, 3]
    assert (done.status, done.sent) == ("completed", 3)


def test_a_replay_that_was_given_up_sends_nothing_more(begun: tuple[Replays, int], store: Store) -> None:
    """Its viewer was away for a while, as on a machine that slept, and another said that it had ended."""
    asked: list[int] = []

    def send(item: Item) -> None:
        asked.append(item.number)
        with store.connection() as connection:
            connection.execute("UPDATE replays SET seen_at = seen_at - interval '30 seconds'")
        assert begun[0].newest(1)[0].status == "interrupted"

    done = run(begun, send)

    assert asked == [1]
    assert (done.status, done.in_hand) == ("interrupted", 1)


def test_a_fault_of_ours_ends_a_replay_and_not_the_viewer(begun: tuple[Replays, int]) -> None:
    def send(_: Item) -> None:
        raise RuntimeError("a bug")

    assert (run(begun, send).status, run(begun, send).reason) == ("failed", "a bug")


def test_reasons_are_bounded(begun: tuple[Replays, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viewer.replay.replayer.MAX_REASONS", 1)

    def send(item: Item) -> None:
        raise CannotCopy(f"{item.number} {'x' * 1000}\0")

    done = run(begun, send)

    assert done.skipped == 3
    assert [(one["reason"][:5], one["count"]) for one in done.reasons] == [("1 xxx", 1), ("other", 2)]


def test_what_a_replay_publishes_reaches_consumers(
    viewer: FlaskClient, store: Store, ministack: Names
) -> None:
    store.add([raw_arrival("once more")])

    outcome(viewer, replay(viewer))

    TestConsumer(ministack, store).take(1)
    assert [one.preview for one in store.find(limit=2)] == ["once more", "once more"]

"""Who may do what with the viewer, and what leaves it."""

import csv
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from consumer.handler import one_by_one
from pipeline.aws import sqs_client
from pipeline.message import Delivery
from pipeline.redaction import MASK
from pipeline.settings import load_settings
from pipeline.store.failures import FailedTry
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for
from viewer.settings import ViewerSettings

OpenViewer = Callable[..., FlaskClient]
TOKEN = "wörd of power, of some length"


# ---- the token


@pytest.fixture
def guarded(open_viewer: OpenViewer, store: Store) -> FlaskClient:
    return open_viewer(store, viewer_token=SecretStr(TOKEN))


@pytest.mark.parametrize("path", ["/api/messages", "/api/stream", "/api/messages.csv", "/api/messages/1"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic word", "Bearer"])
def test_without_the_token_nothing_is_told(guarded: FlaskClient, path: str, header: str | None) -> None:
    answer = guarded.get(path, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.mimetype == "application/problem+json"


def test_a_client_enters_with_the_token(guarded: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1")}

    assert guarded.get("/api/messages", headers=headers).status_code == 200


def test_a_reader_enters_by_the_login_page_and_lands_where_they_were_going(guarded: FlaskClient) -> None:
    asked = guarded.get("/?q=hello&m=3")
    assert asked.status_code == 302
    assert guarded.get(asked.location).status_code == 200
    assert guarded.post(asked.location, data={"token": "wrong"}).status_code == 403
    assert guarded.get("/api/messages").status_code == 401

    entered = guarded.post(asked.location, data={"token": TOKEN})

    assert entered.status_code == 302
    assert entered.location == "/?q=hello&m=3"
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/messages").status_code == 200


ELSEWHERE = [
    f"{start}{middle}elsewhere.example{end}"
    for start in ("https://", "//", "/", "/\\", "\\\\", "javascript:", "?", "/docs", "/..//", "")
    for middle in (
        "",
        "/",
        "\t",
        "/\t/",
        "\n",
        "\r\nSet-Cookie: forged=1\r\n",
        "\x00",
        "\u2028",
        "%09/",
        "@",
        "\ud800",
    )
    for end in ("", "?q=\r\nX: y", "/?q=\t//x", "#//x")
]


@pytest.mark.parametrize(
    "encode", [quote, lambda text: quote(quote(text)), lambda text: quote(text, safe="")]
)
def test_a_login_leads_nowhere_else(guarded: FlaskClient, encode: Callable[[bytes], str]) -> None:
    for target in ELSEWHERE:
        given = encode(target.encode("utf-8", "surrogatepass"))
        entered = guarded.post(f"/login?next={given}", data={"token": TOKEN})

        assert entered.status_code == 302, target
        assert "forged" not in entered.headers["Set-Cookie"]
        assert re.fullmatch(r"(/|/docs)(\?[!-~]*)?", entered.location), target


def test_a_login_leads_to_a_search_with_anything_in_it(guarded: FlaskClient) -> None:
    asked = guarded.get("/?q=" + quote("a&b=\n//c é"))

    entered = guarded.post(asked.location, data={"token": TOKEN})

    assert entered.location == "/?q=a%26b%3D%0A%2F%2Fc+%C3%A9"


# ---- host names


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:5000",
        "localhost.:5000",
        "127.0.0.1:5000",
        "0.0.0.0:5000",
        "192.168.49.2:30000",
        "[::1]:5000",
        "[fe80::1]",
        "Fanout.Example",
        "fanout.example:443",
        "fanout.example.",
        "",
    ],
)
def test_without_a_token_addresses_localhost_and_named_hosts_are_served(
    open_viewer: OpenViewer, store: Store, host: str
) -> None:
    viewer = open_viewer(store, allowed_hosts="other,Fanout.example")

    assert viewer.get("/api/messages", headers={"Host": host}).status_code == 200


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:5000",
    "localhost.evil.example",
    "fanout.example.evil.example",
    "xfanout.example",
    "127.0.0.1.evil.example",
    "127.1",
    "2130706433",
    "0x7f000001",
    "localhost:5000@evil.example",
    "localhost@evil.example",
    "localhost, evil.example",
    "localhost evil.example",
    "localhost/evil.example",
    "[::1].evil.example",
    "[::1",
    "[evil.example]",
    "[::1%25eth0]",
    "localhost:x",
    "localhost..",
    ".",
    "\xb1\xb2\xb7.0.0.1",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_without_a_token_other_host_names_are_refused(
    open_viewer: OpenViewer, store: Store, host: str
) -> None:
    store.add([arrival("secret")])
    viewer = open_viewer(store, allowed_hosts="fanout.example")
    environ = {"HTTP_HOST": host, "HTTP_X_FORWARDED_HOST": "localhost", "HTTP_FORWARDED": "host=localhost"}

    for path in ("/", "/api/messages", "/api/stream", "/metrics", "/docs", "/nowhere"):
        answer = viewer.get(path, environ_overrides=environ)
        assert answer.status_code == 421, path
        assert "ALLOWED_HOSTS" in answer.text
        assert "secret" not in answer.text
    for method in ("POST", "DELETE", "PUT"):
        answer = viewer.open("/api/messages?all=1", method=method, environ_overrides=environ)
        assert answer.status_code == 421
    assert len(store.find(limit=10)) == 1


@pytest.mark.parametrize("host", ["viewer:5000", "evil.example", "0.0.0.0:5000"])
def test_probes_and_peers_may_use_any_host_name(open_viewer: OpenViewer, store: Store, host: str) -> None:
    assert open_viewer(store).get("/health?probe=readiness", headers={"Host": host}).status_code == 200


def test_with_a_token_any_host_name_is_served(guarded: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1"), "Host": "any.example"}

    assert guarded.get("/api/messages", headers=headers).status_code == 200


def test_probes_need_no_token(guarded: FlaskClient) -> None:
    assert guarded.get("/health").status_code == 200


# ---- writing


def test_a_viewer_that_only_reads_publishes_and_deletes_nothing(
    open_viewer: OpenViewer, store: Store
) -> None:
    viewer = open_viewer(store, read_only=True)

    assert viewer.post("/api/messages", json={"text": "hello"}).status_code == 403
    assert viewer.delete("/api/messages?all=1").status_code == 403
    assert viewer.get("/api/messages").status_code == 200


@pytest.mark.parametrize(
    ("settings", "writes"),
    [
        ({"host": "127.0.0.1"}, True),
        ({"host": "127.8.8.8"}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "10.0.0.1"}, False),
        ({"host": "viewer"}, False),
        ({"host": "0.0.0.0", "read_only": False}, True),
        ({"host": "0.0.0.0", "viewer_token": SecretStr(TOKEN)}, True),
        ({"host": "127.0.0.1", "read_only": True}, False),
        ({"host": "0.0.0.0", "viewer_token": SecretStr(TOKEN), "read_only": True}, False),
    ],
)
def test_writing_needs_a_token_or_loopback_unless_told_otherwise(
    open_viewer: OpenViewer, store: Store, settings: dict[str, Any], writes: bool
) -> None:
    viewer = open_viewer(store, **settings)
    headers = {"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1")}

    deleted = viewer.delete("/api/messages?all=1", headers=headers)
    page = viewer.get("/", headers=headers).text

    assert deleted.status_code == (200 if writes else 403)
    assert ("Read-only." in page) is not writes
    assert ('data-tab="publish"' in page) is writes


def test_a_viewer_that_only_reads_says_why_and_how_to_change_it(
    open_viewer: OpenViewer, store: Store
) -> None:
    viewer = open_viewer(store, host="0.0.0.0")

    for text in (viewer.get("/").text, viewer.post("/api/messages", json={"text": "hello"}).text):
        assert "set VIEWER_TOKEN" in text
        assert "READ_ONLY=off" in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({}, 200),
    ],
)
def test_only_our_own_pages_and_programs_may_write(
    open_viewer: OpenViewer, store: Store, headers: dict[str, str], status: int
) -> None:
    assert open_viewer(store).delete("/api/messages?all=1", headers=headers).status_code == status


def test_one_client_may_not_take_every_stream(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, max_streams_per_client=2)
    streams = [viewer.get("/api/stream") for _ in range(2)]
    for stream in streams:
        next(stream.iter_encoded())

    assert viewer.get("/api/stream").status_code == 429
    streams[0].close()
    assert viewer.get("/api/stream").status_code == 200


# ---- headers


def test_nothing_that_shows_messages_is_cached_framed_or_guessed_at(
    open_viewer: OpenViewer, store: Store
) -> None:
    [seq] = store.add([arrival("hello")])
    viewer = open_viewer(store)

    for path in (
        "/",
        "/docs",
        f"/api/messages/{seq}",
        f"/api/messages/{seq}/body",
        "/api/messages.csv",
        "/latest",
        "/api/stream",
        "/api/messages/0",
        "/health",
        "/login",
    ):
        headers = viewer.get(path).headers
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
    with viewer.get("/static/main.js") as file:
        assert file.headers["Cache-Control"] != "no-store"


# ---- below a path


def test_everything_works_below_a_path(open_viewer: OpenViewer, store: Store) -> None:
    store.add([arrival("hello")])
    viewer = open_viewer(store, path_prefix="/tools/fanout", viewer_token=SecretStr(TOKEN))

    assert viewer.get("/tools/fanout").location == "/tools/fanout/"
    assert viewer.get("/").status_code == 404
    assert viewer.get("/health").status_code == 200
    to_login = viewer.get("/tools/fanout/?q=x")
    assert to_login.location.startswith("/tools/fanout/login?next=")
    entered = viewer.post(to_login.location, data={"token": TOKEN})
    assert entered.location == "/tools/fanout/?q=x"
    assert "Path=/tools/fanout/" in entered.headers["Set-Cookie"]
    page = viewer.get("/tools/fanout/")
    assert 'src="/tools/fanout/static/main.js"' in page.text
    assert viewer.get("/tools/fanout/api/messages").status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PATH_PREFIX", "fanout/"), ("REDACT", "card"), ("REDACT", "data.card,"), ("EXPORT", "perhaps")],
)
def test_a_wrong_setting_ends_the_start(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere")
    monkeypatch.setenv(variable, value)

    with pytest.raises(SystemExit, match=variable):
        load_settings(ViewerSettings)


# ---- export


def test_a_search_is_exported_whole_in_the_order_of_storing(open_viewer: OpenViewer, store: Store) -> None:
    store.add([arrival({"n": number}, type="even" if number % 2 == 0 else "odd") for number in range(120)])
    viewer = open_viewer(store)

    answer = viewer.get("/api/messages.ndjson?q=type:even")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["data"]["n"] for line in lines] == list(range(0, 120, 2))
    assert "attachment; filename=messages-" in answer.headers["Content-Disposition"]

    rows = list(csv.DictReader(io.StringIO(viewer.get("/api/messages.csv").text)))
    assert [json.loads(row["body"])["data"]["n"] for row in rows] == list(range(120))


def test_no_cell_of_an_export_is_a_formula(open_viewer: OpenViewer, store: Store) -> None:
    store.add([raw_arrival("=HYPERLINK(1)")])

    [row] = csv.DictReader(io.StringIO(open_viewer(store).get("/api/messages.csv").text))

    assert row["preview"] == row["body"] == "'=HYPERLINK(1)"


def test_an_export_is_made_in_little_memory(open_viewer: OpenViewer, store: Store) -> None:
    store.add([arrival({"text": "x" * 100_000}) for _ in range(300)])
    viewer = open_viewer(store)
    tracemalloc.start()

    size = sum(len(chunk) for chunk in viewer.get("/api/messages.ndjson").iter_encoded())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 60_000_000
    assert peak < 20_000_000


def test_export_can_be_switched_off(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, export=False)

    assert viewer.get("/api/messages.ndjson").status_code == 403
    assert viewer.get("/api/messages.csv").status_code == 403


# ---- redaction


def test_a_masked_field_leaves_the_viewer_nowhere(open_viewer: OpenViewer, store: Store) -> None:
    data = {"card": "secret-1", "nested": {"card": {"number": "secret-2"}}, "list": [{"pin": 5551234}]}
    fields = ["data.card", "data.nested.card", "data.list.pin", "attr.token"]
    viewer = open_viewer(store, redact=",".join(fields))
    stream = viewer.get("/api/stream?after=0").iter_encoded()
    next(stream)
    failing = arrival(data, attributes={"token": "secret-3", "tenant": "acme"})
    FailureRecords(store).record(
        [FailedTry(failing, "KeyError", "no card secret-6", "Traceback: …", last=True)]
    )
    seqs = store.add(
        [
            failing,
            raw_arrival(json.dumps(data)),
            raw_arrival('{"c\\u0061rd": "secret-4"}'),
            raw_arrival('{"card": "secret-5", ' + '"a":[' * 10_000),
        ]
    )

    shown = [
        next(stream).decode(),
        viewer.get("/api/dead-letters").text,
        viewer.get(f"/api/dead-letters/{failing.message_id}").text,
        viewer.get("/").text,
        viewer.get(f"/api/messages/{seqs[0]}/body").text,
        *(viewer.get(f"/api/messages/{number}").text for number in seqs),
        *(
            viewer.get(f"/api/messages{path}").text
            for path in ("", ".ndjson", ".csv", "/facets", "?q=acme nothing&wait=1")
        ),
    ]

    assert len(store.find(limit=10)) == 4
    for text in shown:
        assert "secret" not in text
        assert "5551234" not in text
    assert viewer.get(f"/api/messages/{seqs[0]}").json["data"]["card"] == MASK  # type: ignore[index]
    assert viewer.get(f"/api/messages/{seqs[0]}").json["attributes"]["tenant"] == "acme"  # type: ignore[index]


def test_a_masked_field_leaves_no_dead_letter_and_no_waiting_message(
    open_viewer: OpenViewer, store: Store, emulator: str, create: Callable[..., Names]
) -> None:
    names = create(emulator, MAX_RECEIVE_COUNT="1")
    data = {"card": "secret-1", "order": "visible"}
    attributes: Any = {"token": {"DataType": "String", "StringValue": "secret-2"}}

    @one_by_one
    def quote(delivery: Delivery) -> None:
        raise ValueError(f"no such card: {delivery.message.data['card']}")

    consumer = TestConsumer(names, store, quote)
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    notification = json.dumps(
        {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:x:y", "Message": json.dumps(data)}
    )
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(data), MessageAttributes=attributes)
    consumer.take(1)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(data), MessageAttributes=attributes)
    sqs.send_message(QueueUrl=url, MessageBody=notification)

    viewer = open_viewer(store, names.topic, redact="data.card,attr.token", queue_name=names.queue)

    [letter] = viewer.get("/api/dead-letters").json["dead_letters"]  # type: ignore[index]
    assert (letter["error_type"], letter["error"]) == ("ValueError", MASK)
    whole = viewer.get(f"/api/dead-letters/{letter['message_id']}").text
    assert "visible" in whole
    assert "secret" not in whole
    waiting = wait_for(lambda: viewer.get("/api/waiting").json["messages"])  # type: ignore[index]
    assert "visible" in waiting[0]["body"] + waiting[1]["body"]
    assert "secret" not in viewer.get("/api/dead-letters").text + viewer.get("/api/waiting").text

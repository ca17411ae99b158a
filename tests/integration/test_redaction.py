"""What REDACT masks cannot be learned: two stores that differ in masked values only answer alike, and none
of the values is in any byte that leaves the viewer.

ATTACK_EXAMPLES raises the number of examples.
"""

import base64
import binascii
import gzip
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from consumer.handler import Unavailable, one_by_one
from pipeline.message import Delivery
from pipeline.redaction import MASK, NO_MASK, Mask
from pipeline.store.failures import FailedTry
from tests.support.consuming import TestConsumer, send
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.postgres import WITH_SCHEMA, open_database
from tests.support.stores import FailureRecords, Store

OpenViewer = Callable[..., FlaskClient]

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "6"))
# A failure is told as it is: making it smaller takes minutes.
UNHURRIED: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": [*HealthCheck],
}
FIELDS = ["data.card", "data.order.pin", "data.user.email", "attr.token"]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
# Stands for the secret in the shapes. Neither is a part of what the examples show.
SECRET = "§"
WRITES = {
    ("/api/messages", "post"),
    ("/api/messages/{seq}/copies", "post"),
    ("/api/dead-letters/redrive", "post"),
    ("/api/faults", "put"),
}
# What they tell does not depend on messages alone.
QUIET = ("/api/pipeline", "/api/stats", "/metrics", "/health", "/api/openapi.json")

SELDOM = (*QUIET, "/api/waiting", "/api/dead-letters/redrive")


# ---- shapes: JSON texts with the secret in masked places

secrets = st.text("qzjxkvw0123456789", min_size=5, max_size=14).map(lambda text: f"zq{text}")
innocents = st.sampled_from(
    ["hello", "a b", 42, None, 1.5, True, "grüße", [1, 2], {"n": 1}, "C:\\temp", "日本"]
)
names = st.sampled_from(["id2", "note", "message", "cardholder", "Message", "a.b", "data", "payload"])
values = st.sampled_from([SECRET, [SECRET], {"number": SECRET}, [[{"x": [SECRET]}]], {"data": {"n": SECRET}}])


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an object with a masked field."""
    value = draw(values)
    masked: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"card": value},
                {"CARD": value},
                {"order": {"pin": value}},
                {"order": [{"pin": value}]},
                {"order.pin": value},
                {"user.email": value},
                {"user": {"email": value}},
                {"data.card": value},
                {"card.number": value},
            ]
        )
    )
    others: dict[str, Any] = draw(st.dictionaries(names, innocents, max_size=3))
    return {**masked, **others} if draw(st.booleans()) else {**others, **masked}


EVENT: dict[str, Any] = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "shop.order"}


def parsed(text: str) -> Any:
    """Return the document of a text."""
    return json.loads(text)


# Each puts a text, and what it is as a document, into another shape.
SHAPES: dict[str, Callable[[str], str]] = {
    "event": lambda text: json.dumps({**EVENT, "data": parsed(text)}),
    "event with an extension": lambda text: json.dumps({**EVENT, **parsed(text), "data": {}}),
    "no event": lambda text: json.dumps({"specversion": "1.0", "data": parsed(text)}),
    "no event beside data": lambda text: json.dumps({"specversion": "0.3", **parsed(text), "data": {}}),
    "event with text": lambda text: json.dumps({**EVENT, "data": {"text": text}}),
    "event with a text of data": lambda text: json.dumps({**EVENT, "data": text}),
    "bytes": lambda text: json.dumps({**EVENT, "data_base64": base64.b64encode(text.encode()).decode()}),
    "notification": lambda text: json.dumps(
        {"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:x", "Message": text}
    ),
    "notification of attributes": lambda text: json.dumps(
        {
            "Type": "Notification",
            "MessageId": "n-1",
            "TopicArn": "arn:x",
            "Message": "hello",
            "MessageAttributes": {"token": {"Type": "String", "Value": text}},
        }
    ),
    "notification with a subject": lambda text: json.dumps(
        {
            "Type": "Notification",
            "MessageId": "n-1",
            "TopicArn": "arn:x",
            "Subject": f"card={SECRET}",
            "SequenceNumber": f"card={SECRET}",
            "MessageAttributes": {"token": {"Type": f"Number.{SECRET}", "Value": text}},
            "Message": "hello",
        }
    ),
    "event of a bus": lambda text: json.dumps(
        {"detail-type": "Order", "source": "acme", "account": "1", "detail": {"data": parsed(text)}}
    ),
    "string": lambda text: json.dumps({"payload": text}),
    "string of a string": lambda text: json.dumps({"payload": json.dumps(text)}),
    "list": lambda text: json.dumps(["x", parsed(text)]),
    "beside depth": lambda text: f'{{"a":{"[" * 400 + "]" * 400},"data":{text}}}',
    "beside great depth": lambda text: f'{{"a":{"[" * 5000 + "]" * 5000},"data":{text}}}',
    "repeated": lambda text: f'{{"data":{text},"data":{{}}}}',
    "repeated in an event": lambda text: json.dumps(EVENT)[:-1] + f',"data":{text},"data":{{}}}}',
    "repeated within": lambda text: f"{text[:-1]},{text[1:-1].replace(SECRET, 'x')}}}",
    "cut": lambda text: text[: text.rindex(SECRET) + 1],
    "cut list": lambda text: f"[{text}",
    "after a word": lambda text: f"order {text}",
    "in braces": lambda text: f"{{{text}",
    "lines": lambda text: f"{text}\n{text}",
    "form": lambda _: f"a=1&card={SECRET}",
    "tag": lambda _: f"<card>{SECRET}</card>",
    "log line": lambda _: f"[12:00] card: {SECRET}",
    "long": lambda text: json.dumps({"note": "x" * 150, "filler": "y" * 100, **parsed(text)}),
    "longer": lambda text: json.dumps({**parsed(text), "note": "hello " * 100}),
    "escaped": lambda text: re.sub('"([a-zA-Z])', lambda name: f'"\\u{ord(name[1]):04x}', text),
    "indented": lambda text: json.dumps(parsed(text), indent=3),
}


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Draw a body whose every § is masked."""
    text = json.dumps(draw(fields()), ensure_ascii=False)
    for kind in draw(st.lists(st.sampled_from([*SHAPES]), max_size=3)):
        try:
            text = SHAPES[kind](text)
        except (ValueError, RecursionError, TypeError):  # it is JSON no more, or no object
            break
    return text


attributes = st.fixed_dictionaries(
    {},
    optional={
        "token": st.just(SECRET),
        "Token": st.just(SECRET),
        "tenant": st.sampled_from(["acme", "umbrella"]),
        "payload": fields().map(json.dumps),
        "note": st.just(f"card={SECRET}"),
    },
)
BINARY_MODE = {"ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/shop", "ce-type": "shop.order"}


@dataclass(frozen=True)
class Hidden:
    """Messages with secrets in masked places."""

    bodies: list[str]
    attributes: list[dict[str, str]]
    secrets: tuple[str, str]

    def deliveries(self, number: int) -> list[Delivery]:
        """Return them with one of the secrets, and otherwise the same."""
        made = []
        for place, (body, texts) in enumerate(zip(self.bodies, self.attributes, strict=True)):
            filled = {name: put(value, self.secrets[number]) for name, value in texts.items()}
            text = put(body, self.secrets[number]).replace("e-1", f"e-{place}").replace("n-1", f"n-{place}")
            filled |= {"ce-id": f"b-{place}"} if "ce-id" in filled else {}
            delivery = raw_arrival(text, time=NOON, attributes=filled)
            message = delivery.message
            own = replace(message, id=f"m-{place}") if message.id == delivery.message_id else message
            made.append(replace(delivery, message=own, message_id=f"00000000-0000-0000-0000-{place:012}"))
        return made


def put(body: str, secret: str) -> str:
    """Put the secret into a body, in base64 too."""

    def encode(found: re.Match[str]) -> str:
        text = base64.b64decode(found[1]).decode().replace(SECRET, secret)
        return f'data_base64": "{base64.b64encode(text.encode()).decode()}"'

    plain = re.sub(r'data_base64": "([^"]*)"', encode, body)
    for escaped in ("\\" * count + "u00a7" for count in (15, 7, 3, 1)):
        plain = plain.replace(escaped, secret)
    return plain.replace(SECRET, secret)


hidden = st.builds(
    lambda pairs, one, other: Hidden(
        [body for body, _ in pairs], [texts for _, texts in pairs], (one, other)
    ),
    st.lists(
        st.tuples(
            bodies(),
            st.builds(
                lambda event, texts: {**event, **texts}, st.sampled_from([{}, BINARY_MODE]), attributes
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    secrets,
    secrets,
).filter(lambda made: made.secrets[1] not in made.secrets[0])


# ---- questions

PLACES = (
    "card",
    "order.pin",
    "user.email",
    "card.number",
    "data.data.card",
    "payload",
    "message",
    "Message",
    "text",
    "note",
    "a.b",
    "data_base64",
    "data.card",
    "attr.token",
    "attr.payload",
    "attr.note",
    "messageattributes.token.value",
    "id",
    "type",
    "source",
    "topic",
    "subject",
    "copyof",
)


@st.composite
def queries(draw: st.DrawFn, secret: str) -> str:
    """Draw a search that asks for a secret, or for a part of it."""
    guess = draw(st.sampled_from([secret[:length] for length in range(1, len(secret) + 1)]))
    place = draw(st.sampled_from(PLACES))
    told = json.dumps(f'{{"card": "{guess}')[1:-1]
    coded = base64.b64encode(f'{{"card": "{guess}'.encode()).decode()
    query = draw(
        st.sampled_from(
            [
                guess,
                f'"{guess}"',
                f"card {guess}",
                f"{place}:{guess}",
                f"{place}:{guess}*",
                f'{place}:"{guess}"',
                f'{place}:"{told}*"',
                f'"{told}"',
                f'{place}:"card={guess}*"',
                f'"card={guess}"',
                f'"number\\": \\"{guess}"',
                f"{coded[:-4]}",
                f"data_base64:{coded[:-4]}*",
                f'"{guess} "',
                f"hello {guess}",
                f'"•{guess}"',
                f"larger:{draw(st.integers(20, 400))}",
            ]
        )
    )
    combined = draw(
        st.sampled_from(["{}", "-{}", "({} hello) OR unicorn", '-("a b" OR {})', "hello OR -(-{})"])
    )
    return combined.format(query)


# Of parameters that an endpoint requires, what may be asked.
REQUIRED = {
    "names": st.lists(st.sampled_from(PLACES), min_size=1, max_size=10).map(",".join),
    "seqs": st.just("1,2,3,4"),
    "status": st.just("lost"),
    "queue": st.just("unknown"),
}


def operations(viewer: FlaskClient) -> Iterator[tuple[str, str, set[str]]]:
    """Yield path, method and parameters of every endpoint that there is."""
    document: Any = viewer.get("/api/openapi.json").json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
            # One that requires something else needs to be thought of here.
            assert {one["name"] for one in described if one.get("required")} <= REQUIRED.keys()
            yield path, method, {one["name"] for one in described}


def paths(template: str, count: int) -> list[str]:
    """Return the paths of an endpoint; one with an unknown parameter needs to be thought of here."""
    filled = [
        template.replace("{seq}", str(place + 1))
        .replace("{id}", str(place + 1))
        .replace("{message_id}", f"00000000-0000-0000-0000-{place:012}")
        for place in range(count)
    ]
    assert "{" not in filled[0]
    return sorted(set(filled))


def ask(viewer: FlaskClient, path: str, method: str, query: dict[str, str]) -> tuple[int, bytes, str]:
    """Return status, bytes and place of an answer."""
    answer = viewer.open(path, method=method.upper(), query_string=query, headers={"Accept-Encoding": "gzip"})
    if path == "/api/stream":
        events: Any = answer.iter_encoded()
        body = b"".join(itertools.takewhile(lambda event: b"heartbeat" not in bytes(event), events))
        answer.close()
    else:
        body = bytes(answer.data)
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return answer.status_code, body, answer.headers.get("Location", "")


def readings(body: bytes) -> Iterator[str]:
    """Yield a text as whoever receives it may read it: unescaped, and with what is in base64 decoded."""
    text = body.decode("utf-8", "replace")
    for _ in range(5):
        yield text
        for coded in re.findall(r"[A-Za-z0-9+/_-]{8,}={0,2}", text):
            for shift in range(4):
                try:
                    yield base64.b64decode(coded[shift:][: len(coded[shift:]) // 4 * 4]).decode(
                        "utf-8", "replace"
                    )
                except (ValueError, binascii.Error):
                    continue
        plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        plain = plain.replace('\\"', '"').replace("\\\\", "\\")
        if plain == text:
            return
        text = plain


@pytest.fixture
def twins(postgres_url: str) -> Iterator[list[Store]]:
    with (
        open_database(postgres_url, WITH_SCHEMA) as one,
        open_database(postgres_url, WITH_SCHEMA) as other,
    ):
        stores = [Store(one), Store(other)]
        yield stores
        for store in stores:
            store.close()


def fill(store: Store, deliveries: list[Delivery], secret: str) -> None:
    """Store them, and record that the handler failed on each, with an error that quotes the secret."""
    with store.connection() as connection:
        connection.execute("TRUNCATE messages, failures RESTART IDENTITY CASCADE")
    store.add(deliveries)
    failed = [
        FailedTry(one, "KeyError", f"no {secret}", f"Traceback: {secret}", last=place % 2 == 0)
        for place, one in enumerate(deliveries)
    ]
    FailureRecords(store).record(failed)
    with store.connection() as connection:
        connection.execute("UPDATE messages SET stored_at = %s", [NOON])
        connection.execute("UPDATE failures SET first_failed_at = %s, last_failed_at = %s", [NOON, NOON])
        # Dead letters are listed by the time of death, of which each has its own.
        connection.execute(
            "UPDATE failures SET dead_at = %s + right(message_id, 2)::int * interval '1 s'"
            " WHERE dead_at IS NOT NULL",
            [NOON],
        )
        connection.execute("UPDATE failed_tries SET failed_at = %s", [NOON])


@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_two_stores_that_differ_in_masked_values_only_answer_alike(
    twins: list[Store], open_viewer: OpenViewer
) -> None:
    redact = ",".join(FIELDS)
    viewers = [open_viewer(store, redact=redact, heartbeat_seconds=0.02) for store in twins]
    asked = [one for one in operations(viewers[0]) if one[:2] not in WRITES]
    asked.sort(key=lambda one: one[1] == "delete")  # what is left then tells less

    @given(hidden=hidden, drawn=st.data())
    @settings(max_examples=EXAMPLES, **UNHURRIED)
    def check(hidden: Hidden, drawn: st.DataObject) -> None:
        for number, store in enumerate(twins):
            fill(store, hidden.deliveries(number), hidden.secrets[number])
            note(f"{hidden.deliveries(number)}")
        for template, method, parameters in [("/", "get", {"q"}), *asked]:
            # Most of these wait for AWS, which is away.
            if template in SELDOM and drawn.draw(st.integers(0, 5)):
                continue
            for path in paths(template, len(hidden.bodies)):
                for _ in range(4 if "q" in parameters else 1):
                    query: dict[str, str] = {}
                    for name in sorted(REQUIRED.keys() & parameters):
                        query[name] = drawn.draw(REQUIRED[name])
                    if "q" in parameters:
                        query["q"] = drawn.draw(queries(hidden.secrets[0]))
                    if ("after" in parameters and drawn.draw(st.booleans())) or path == "/api/stream":
                        query["after"] = "0"
                    if "include" in parameters and drawn.draw(st.booleans()):
                        query["include"] = "data"
                    if "wait" in parameters and drawn.draw(st.integers(0, 20)) == 20:
                        query |= {"wait": "1", "count": "9"}
                    answers = [ask(viewer, path, method, query) for viewer in viewers]
                    note(f"{method} {path} {query}: {answers}")
                    assert answers[0][0] < 500 or template in SELDOM
                    assert answers[0][0] != 400 or "q" in query
                    # The searches ask for the first secret, and answers may repeat them.
                    assert not [
                        text for text in readings(answers[1][1]) if hidden.secrets[1] in text.casefold()
                    ]
                    if path not in QUIET:
                        assert answers[0] == answers[1]

    check()


def test_the_index_of_a_consumer_with_redact_contains_no_masked_value(
    database_url: str, store: Store
) -> None:
    masking = Store(database_url, Mask(["data.card", "attr.token"]))
    masking.add(
        [
            arrival({"card": "secret-1", "text": "visible", "nested": '{"card": "secret-2"}'}),
            raw_arrival("card: secret-3", attributes={"token": "secret-4", "tenant": "acme"}),
            raw_arrival('{"data": {"card": "secret-5"}, "data": {}}'),
        ]
    )

    with store.connection() as connection:
        terms = str(connection.execute("SELECT tsvector_to_array(terms) FROM messages").fetchall())
    masking.close()
    assert "secret" not in terms
    assert "visible" in terms
    assert "attr.tenant=acme" in terms


def test_a_consumer_with_redact_quotes_no_message(
    store: Store, ministack: Names, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = iter([Unavailable("no answer for secret-1"), ValueError("no such card: secret-1")])

    @one_by_one
    def quote(delivery: Delivery) -> None:
        try:
            raise KeyError(delivery.message.data["card"])
        except KeyError as error:
            raise next(attempts) from error

    consumer = TestConsumer(ministack, store, quote, mask=Mask(["data.card"]))
    send(ministack, '{"card": "secret-1"}')

    with caplog.at_level("DEBUG"):
        consumer.take(1)

    with store.connection() as connection:
        failures = connection.execute(
            "SELECT f.error_type, f.error, f.traceback, t.error"
            " FROM failures f JOIN failed_tries t USING (message_id)"
        ).fetchall()
    told = [*failures[0], *(f"{record.message} {vars(record)}" for record in caplog.records)]
    assert failures[0][0] == "ValueError"
    assert "in quote" in failures[0][2]
    assert [text for text in told if "left for retry" in text]
    assert not [text for text in told if "secret-1" in text]


# ---- the mask


@pytest.mark.parametrize(
    "body",
    [
        "hello",
        "order id=7",
        '{"cardholder": "Bob", "path": "C:\\\\temp"}',
        '{"a": "{\\"b\\": 1}", "sum": 1.50}',
        "[" * 5000 + "]" * 5000,
        json.dumps({**EVENT, "data": {"order": {"id": 1}}}),
    ],
)
def test_what_names_no_masked_field_is_shown_exactly_as_it_is(body: str) -> None:
    assert Mask(FIELDS).body(body) == body
    assert NO_MASK.body(body) == body


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"card": 1, "b": 2}', {"card": MASK, "b": 2}),
        ('{"a": [{"data": {"CARD": 1}}]}', {"a": [{"data": {"CARD": MASK}}]}),
        ('{"order": {"pin": 1, "id": 2}}', {"order": {"pin": MASK, "id": 2}}),
        ('{"user": {"email": 1}, "user.email": 2}', {"user": {"email": MASK}, "user.email": MASK}),
        ('{"a": "{\\"card\\":1}"}', {"a": '{"card":"•••"}'}),
        (json.dumps({**EVENT, "data": {"card": 1}}), {**EVENT, "data": {"card": MASK}}),
        (json.dumps({**EVENT, "data_base64": "eyJjYXJkIjoxfQ=="}), {**EVENT, "data_base64": MASK}),
    ],
)
def test_only_masked_fields_of_a_document_are_masked(body: str, masked: Any) -> None:
    assert json.loads(Mask(FIELDS).body(body)) == masked


def test_the_attributes_of_an_event_are_no_data() -> None:
    event = json.dumps({**EVENT, "data": {"id": "secret"}})

    assert json.loads(Mask(["data.id", "data.type"]).body(event)) == {**EVENT, "data": {"id": MASK}}


def test_a_search_for_a_masked_field_or_a_size_is_refused(open_viewer: OpenViewer, store: Store) -> None:
    store.add([arrival({"card": "4111", "order": {"id": 42}, "text": "two lamps"})])
    viewer = open_viewer(store, redact="data.card")

    for query in ("card:4111", "data.card.number:4*", "larger:1", "smaller:1m", "-card:1"):
        answer = viewer.get("/api/messages", query_string={"q": query})
        assert (answer.status_code, answer.json["parameter"]) == (400, "q")  # type: ignore[index]
    for query in ("lamps", '"two lamps"', "order.id:42", "-hello", "type:test.*", "order.id:4*", "lam"):
        found: Any = viewer.get("/api/messages", query_string={"q": query}).json
        assert len(found["messages"]) == 1, query


@pytest.mark.parametrize("name", ["a+b(c)", 'it\'s "quoted"', "#~&-|*?^$", "größe", "\\d", "{x}", "%s", "K"])
def test_a_masked_name_may_consist_of_any_characters(
    open_viewer: OpenViewer, store: Store, name: str
) -> None:
    seqs = store.add(
        [
            arrival({name: "secret", "text": "two lamps"}),
            raw_arrival(json.dumps({name.upper(): "secret"})),
            raw_arrival(f"{name}: secret"),
        ]
    )
    viewer = open_viewer(store, redact=f"data.{name}")

    for query in ("secret", "secr", '"secret"', f'text:"{name}: secret"', f'"{name}: s"'):
        found: Any = viewer.get("/api/messages", query_string={"q": query}).json
        assert found["messages"] == [], query
    found = viewer.get("/api/messages", query_string={"q": "lamps"}).json
    assert [one["seq"] for one in found["messages"]] == [seqs[0]]
    shown = [viewer.get(f"/api/messages/{seq}").text for seq in seqs] + [viewer.get("/api/messages").text]
    assert "secret" not in "".join(shown)


@pytest.mark.parametrize(
    ("redact", "subject"), [("data.subject", "zq4242 paid"), ("data.card", "card zq4242:")]
)
@pytest.mark.parametrize("body", ["hello", '{"order": 1}'])
def test_a_masked_subject_is_neither_shown_nor_found(
    open_viewer: OpenViewer, store: Store, redact: str, subject: str, body: str
) -> None:
    envelope = {"Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:x:orders", "Message": body}
    store.add([raw_arrival(json.dumps({**envelope, "Subject": subject}))])
    open_, masked = open_viewer(store), open_viewer(store, redact=redact)

    for q in ("zq4242", "subject:*", f'"{subject}"', f'subject:"{subject}"', "subject:card*"):
        assert masked.get("/api/messages/count", query_string={"q": q}).json in (
            {"count": 0, "exact": True, "suggestion": None},
            {
                "title": "Bad Request",
                "status": 400,
                "detail": "subject: is masked (REDACT), so it cannot be searched for",
                "parameter": "q",
            },
        )
    paths = ("", "/1", "/facets", ".ndjson", ".csv", "/fields?names=subject&seqs=1", "?include=data")
    shown = [
        (open_.get(f"/api/messages{path}").text, masked.get(f"/api/messages{path}").text) for path in paths
    ]
    assert all("zq4242" in plain and "zq4242" not in hidden for plain, hidden in shown)
    assert open_.get("/api/messages/count?q=zq4242 topic:orders").json["count"] == 1  # type: ignore[index]
    assert masked.get("/api/messages/count?q=topic:orders").json["count"] == 1  # type: ignore[index]

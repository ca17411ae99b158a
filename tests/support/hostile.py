"""Messages that something might stumble over, and innocent ones between them, written by Hypothesis."""

import base64
import json
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pipeline.json_text import MAX_DEPTH
from pipeline.message import ORIGINAL_ID, new_message

Attributes = Mapping[str, Mapping[str, Any]]

MAX_BODY_BYTES = 250_000  # MiniStack takes 256 KiB, attributes included
# How deep JSON may be for the parsers of Python 3.11 (the recursion limit), 3.12 and 3.13, and for ours.
DEPTHS = (MAX_DEPTH, sys.getrecursionlimit(), 1_500, 10_000)
# Identities that several messages claim.
KNOWN_IDS = ("A-1", "A-2", "")


@dataclass(frozen=True)
class Sent:
    """A message to put on the queue; `kind` says what is odd about it, None that nothing is."""

    body: str
    kind: str | None
    attributes: Attributes = field(default_factory=dict)


def batches() -> SearchStrategy[list[Sent]]:
    """Return batches of two to ten messages, both kinds mixed."""
    return st.lists(st.one_of(innocent(), hostile()), min_size=2, max_size=10)


def innocent() -> SearchStrategy[Sent]:
    return st.integers(0, 9).map(
        lambda number: Sent(new_message("/innocent", "test.innocent", {"text": f"{number}"}).body, None)
    )


def hostile() -> SearchStrategy[Sent]:
    kinds: dict[str, SearchStrategy[Any]] = {
        "deep": deep_json().flatmap(anywhere),
        "cut off": deep_json(closed=False).flatmap(anywhere),
        "characters": texts().map(json.dumps).flatmap(anywhere),
        "raw characters": texts(),
        "number": odd_numbers().flatmap(anywhere),
        "time": st.builds(lambda time: event(time=time), odd_times()),
        "identity": st.builds(
            lambda id_, source, type_: event(id=id_, source=source, type=type_),
            *[st.one_of(huge_texts(), texts())] * 3,
        ),
        "conflict": st.builds(
            lambda id_, data: event(id=id_, data=data), st.sampled_from(KNOWN_IDS), texts()
        ),
        "envelope": st.one_of(texts(), st.builds(lambda data: event(data=data), texts())).flatmap(envelopes),
        "members": st.dictionaries(st.sampled_from(MEMBERS), json_values(), min_size=3).map(json.dumps),
        "names": st.builds(
            lambda length, count: event(data={"k" * length: {"k" * length: [1] * count}}),
            *(st.integers(1, 50_000), st.integers(1, 50_000)),
        ),
        "words": st.integers(1, 60_000).map(lambda count: " ".join(f"w{number}" for number in range(count))),
    }
    sent = st.one_of([st.builds(Sent, bodies, st.just(kind)) for kind, bodies in kinds.items()])
    return st.one_of(
        sent.filter(is_taken),
        st.builds(replace, sent.filter(is_taken), attributes=odd_attributes()),
        st.builds(Sent, st.just("hi"), st.just("attributes"), odd_attributes()),
    )


def is_taken(sent: Sent) -> bool:
    """Tell whether a queue takes a message of this size."""
    return 0 < len(sent.body.encode("utf-8", "surrogatepass")) <= MAX_BODY_BYTES


# What is recognised by its members: CloudEvents, notifications, events of AWS services.
MEMBERS = (
    *("specversion", "id", "source", "type", "time", "data", "data_base64", "subject", "datacontenttype"),
    *("Type", "TopicArn", "MessageId", "Message", "MessageAttributes", "Timestamp", "Subject", "Records"),
    *("detail", "detail-type", "account", "AlarmName", "NewStateValue", "StateChangeTime", "eventSource"),
    *("text", "color", "sequence", "fanoutcopyof"),
)


def event(**members: Any) -> str:
    """Return a CloudEvent with an id of its own, unless these members give another."""
    basis = {"specversion": "1.0", "id": uuid.uuid4().hex, "source": "/hostile", "type": "test.hostile"}
    return json.dumps(basis | members)


def anywhere(value: str) -> SearchStrategy[str]:
    """Put JSON in every place that something reads."""
    inner = json.dumps(value)
    coded = json.dumps(base64.b64encode(value.encode("utf-8", "replace")).decode())
    places = (
        "%s",
        event(data="%s"),
        event(data={"text": "%s", "color": "%s", "sequence": "%s"}),
        event(time="%s", subject="%s", fanoutcopyof="%s"),
        json.dumps({"specversion": "%s", "id": "%s", "source": "%s", "type": "%s"}),
        '{"Type":"Notification","TopicArn":"arn:x:y","MessageId":"m","Message":%s}',
        '{"Type":"Notification","TopicArn":"arn:x:y","MessageId":"m","Message":"hi","MessageAttributes":%s}',
        '{"Records":[{"eventSource":"aws:s3","eventName":"e","s3":%s}]}',
        '{"detail-type":"d","source":"s","account":"1","detail":{"deep":%s},"resources":[%s]}',
        '[{"specversion":"1.0","id":"i","source":"s","type":"t","data":%s}]',
    )
    bodies = [place.replace('"%s"', "%s").replace("%s", value) for place in places]
    bodies += [event(data="%s").replace('"%s"', inner), event(data_base64="%s").replace('"%s"', coded)]
    bodies.append(places[5].replace("%s", json.dumps(event(data="%s").replace('"%s"', value))))
    return st.sampled_from(bodies)


def deep_json(*, closed: bool = True) -> SearchStrategy[str]:
    """Return JSON, or the beginning of it, around the depths at which parsers give up, and far beyond."""
    depths = st.one_of(
        st.builds(lambda limit, more: max(1, limit + more), st.sampled_from(DEPTHS), st.integers(-100, 20)),
        st.integers(1, 40_000),
    )
    signs = st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"text":', "}]"), ('[0,"]",', ',{"b":[]}]')])

    def nest(depth: int, signs: tuple[str, str], leaf: str) -> str:
        return signs[0] * depth + leaf + (signs[1] * depth if closed else signs[1] * (depth // 2))

    return st.builds(nest, depths, signs, st.sampled_from(["1", '"x"', '"\\ud800"', "[]", "null"]))


def texts() -> SearchStrategy[str]:
    """Return texts of NUL, controls, halves of surrogate pairs, what casefold() makes longer, and others."""
    odd = st.sampled_from(
        "\x00\x01\x1b\x7f\u0085\u2028\u202e\ufeff\ufffe\uffff\ud800\udfff\U0010ffffßİŉﬃ\\\"'%{}[]"
    )
    return st.text(st.one_of(odd, st.characters()), max_size=40)


def huge_texts() -> SearchStrategy[str]:
    return st.builds(
        lambda piece, count: (piece * count)[:40_000],
        st.sampled_from(["a", "ß", "字", "\x00", "\ud800", "a b", "🙂", " ", "İ"]),
        st.integers(1, 40_000),
    )


def odd_numbers() -> SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(["1e400", "-1e400", "-0", "1E-999", "NaN", "Infinity", "-Infinity", "0.1e1"]),
        st.integers(1, 20_000).map(lambda digits: "9" * digits),
        st.integers(-(2**70), 2**70).map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
    )


def odd_times() -> SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(
            [
                *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"),
                *("9999-12-31T24:00:00Z", "-271821-04-20T00:00:00Z", "2026-02-30T00:00:00Z", "infinity"),
                *("2026-W01-1T00:00:00Z", "2026-01-31T12:00:60Z", "now", "epoch", "", "2026-01-31", 0, -1e99),
            ]
        ),
        st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
        json_values(),
    )


def json_values() -> SearchStrategy[Any]:
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts())
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3)
    )


def envelopes(text: str) -> SearchStrategy[str]:
    """Wrap a text in notifications of SNS, or in what looks like them, several times."""
    document = {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:x:0:t", "Message": text}
    more = st.dictionaries(st.sampled_from(MEMBERS), json_values(), max_size=2)
    once = more.map(lambda members: json.dumps(document | members))
    twice = once.map(lambda inner: json.dumps(document | {"Message": inner}))
    return st.one_of(once, twice, twice.map(lambda inner: json.dumps(document | {"Message": inner})))


def odd_attributes() -> SearchStrategy[Attributes]:
    names = st.one_of(
        st.sampled_from(
            [ORIGINAL_ID, "ce-id", "ce-source", "ce-type", "ce-specversion", "content-type", "type"]
        ),
        st.sampled_from(["a" * 256, "..", "AWS.x", "a b", "ü", "\x00", "__proto__"]),
    )
    values = st.one_of(
        st.builds(
            lambda type_, value: {"DataType": type_, "StringValue": value},
            st.sampled_from(["String", "Number", "String.json", "Number.int", "x"]),
            st.one_of(texts(), st.sampled_from(["1.0", "1e400", "x" * 10_000])),
        ),
        st.binary(min_size=1, max_size=50).map(
            lambda value: {"DataType": "Binary.png", "BinaryValue": value}
        ),
    )
    return st.dictionaries(names, values, min_size=1, max_size=10)

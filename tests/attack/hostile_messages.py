"""Messages as an attacker would send them, and innocent ones, as what SendMessage takes."""

import json
import random
import sys
import uuid
from collections.abc import Callable
from typing import Any

Entry = dict[str, Any]

MARK = "@value@"  # is replaced by what json would not write
MAX_BYTES = 200_000  # SQS takes 256 KiB; this leaves room for the attributes of a batch
# Around what json of Python 3.11 (the recursion limit) and 3.13 can read, and far beyond.
DEPTHS = (*range(sys.getrecursionlimit() - 60, sys.getrecursionlimit() + 5), *range(9_985, 10_005), 40_000)
TIMES: tuple[Any, ...] = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "10000-01-01T00:00:00Z",
    "2026-02-30T12:00:00Z",
    "2026-01-31T12:00:00",
    "-infinity",
    "now",
    "\u0000",
    1e308,
    [],
)
CHARACTERS = ("\u0000", "\ud800", "\udfff\ud800", "\u202e", "\ufffe", "\x1b[2J", "\r\n", "𐏿", "é" * 50)


def event(source: str, id: str, data: Any = "hello", **more: Any) -> dict[str, Any]:  # noqa: A002 - its name
    """Return a CloudEvent."""
    return {"specversion": "1.0", "id": id, "source": source, "type": "attack", "data": data, **more}


def innocent(number: int) -> Entry:
    """Return a message that nothing is wrong with."""
    return {"MessageBody": json.dumps(event("/innocent", f"{uuid.uuid4().hex}-{number}", {"n": number}))}


def hostile(chance: random.Random) -> tuple[str, Entry]:
    """Return a kind and a message of this kind."""
    kind = chance.choice(list(KINDS))
    return kind, KINDS[kind](chance)


def _identity(chance: random.Random) -> tuple[str, str]:
    return "/hostile", uuid.UUID(int=chance.getrandbits(128)).hex


def _deep(chance: random.Random) -> Entry:
    depth = chance.choice(DEPTHS)
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}"), ('[{"b":', "}]")])
    depth = min(depth, MAX_BYTES // len(opening + closing))
    whole = json.dumps(event(*_identity(chance), MARK))
    return {"MessageBody": whole.replace(f'"{MARK}"', f"{opening * depth}1{closing * depth}")}


def _characters(chance: random.Random) -> Entry:
    character = chance.choice(CHARACTERS)
    source, identity = _identity(chance)
    place = chance.choice(["data", "id", "source", "type", "time", "name"])
    made = event(source, identity)
    if place == "name":
        made["data"] = {character: character}
    elif place in ("id", "source"):
        made[place] += character
    else:
        made[place] = character
    return {"MessageBody": json.dumps(made)}  # escaped: SQS refuses most of them as they are


def _raw_characters(chance: random.Random) -> Entry:
    return {
        "MessageBody": json.dumps(event(*_identity(chance)))[:-1]
        + chance.choice(["\t\n", "\ud7ff", "\ufffd"])
    }


def _time(chance: random.Random) -> Entry:
    return {"MessageBody": json.dumps(event(*_identity(chance), time=chance.choice(TIMES)))}


def _huge_name(chance: random.Random) -> Entry:
    source, identity = _identity(chance)
    long = chance.choice("xé\u0000 ") * chance.randint(1_000, 30_000)
    field = chance.choice(["id", "source", "type", "subject"])
    return {"MessageBody": json.dumps({**event(source, identity), field: f"{identity}{long}"})}


def _number(chance: random.Random) -> Entry:
    digits = chance.randint(1, 5_000)
    number = chance.choice(
        ["9" * digits, "-" + "9" * digits, f"1e{digits}", "NaN", "-Infinity", "1.0e-400", "-0"]
    )
    field = chance.choice(["sequence", "n", "text"])
    whole = json.dumps(event(*_identity(chance), {field: MARK}))
    return {"MessageBody": whole.replace(f'"{MARK}"', number)}


def _envelope(chance: random.Random) -> Entry:
    body = json.dumps(event(*_identity(chance)))
    for _ in range(chance.randint(1, 8)):
        notification = {
            "Type": "Notification",
            "MessageId": uuid.UUID(int=chance.getrandbits(128)).hex,
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:other",
            "Message": body,
            "Timestamp": chance.choice(TIMES),
        }
        body = json.dumps(notification)
        if len(body) > MAX_BYTES:
            break
    return {"MessageBody": body[:MAX_BYTES]}


def _attributes(chance: random.Random) -> Entry:
    blob = chance.randbytes(chance.randint(1, 2_000))
    attributes = {
        f"a.{number}": chance.choice(
            [
                {"DataType": "Binary", "BinaryValue": blob},
                {"DataType": "Number.custom", "StringValue": "9" * 40},
                {"DataType": "String", "StringValue": chance.choice(["\u202e", "x" * 5_000, "' OR 1=1 --"])},
            ]
        )
        for number in range(chance.randint(1, 10))
    }
    return {"MessageBody": json.dumps(event(*_identity(chance))), "MessageAttributes": attributes}


def _no_event(chance: random.Random) -> Entry:
    texts = (
        "null",
        "0",
        '""',
        "[]",
        "{}",
        "﻿{}",
        "{",
        '{"specversion":"1.0"}',
        "' ; DROP TABLE messages; --",
        "%s %(x)s",
    )
    return {"MessageBody": f"{chance.choice(texts)} " + " " * chance.randint(0, 50)}


def _large(chance: random.Random) -> Entry:
    word = chance.choice(["x", "a-", "é ", '\\"', "<b>"])
    text = word * (chance.randint(50_000, MAX_BYTES // 3) // len(word.encode()))
    return {"MessageBody": json.dumps(event(*_identity(chance), {"text": text}))}


def _words(chance: random.Random) -> Entry:
    words = " ".join(f"{chance.getrandbits(40):x}" for _ in range(chance.randint(100, 4_000)))
    return {"MessageBody": json.dumps(event(*_identity(chance), {"text": words}))}


def _repeated_names(chance: random.Random) -> Entry:
    whole = json.dumps(event(*_identity(chance)))
    return {"MessageBody": whole[:-1] + ',"data":{},"data":[1],"type":"twice","data":null}'}


KINDS: dict[str, Callable[[random.Random], Entry]] = {
    "deep JSON": _deep,
    "odd characters": _characters,
    "raw characters": _raw_characters,
    "odd times": _time,
    "huge names": _huge_name,
    "odd numbers": _number,
    "envelopes in envelopes": _envelope,
    "odd attributes": _attributes,
    "no event": _no_event,
    "large texts": _large,
    "many words": _words,
    "repeated names": _repeated_names,
}

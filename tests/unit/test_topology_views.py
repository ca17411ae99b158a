"""What REDACT masks is in no word about a filter policy, whatever the message and the policy look like."""

import json
from random import Random
from typing import Any

import pytest

from pipeline.redaction import MASK, Mask
from viewer.api.topology_views import MaskScreen, hides
from viewer.aws.filter_policy import Budget, MessageFields, Scope, explain, first_failure, parse_policy

FIELDS = ("data.card", "data.order.pin", "data.user.email", "attr.token")
SECRET = "zq81"
NAMES = (
    "card",
    "CARD",
    "order",
    "pin",
    "user",
    "email",
    "data",
    "Message",
    "note",
    "user.email",
    "order.pin",
)
CONDITIONS: tuple[Any, ...] = ("x", 5, {"prefix": "y"}, {"exists": False}, {"numeric": ["=", 1]})


def document(random: Random, depth: int = 0) -> Any:
    """Return a document with the secret in masked fields, and in others none."""
    members: dict[str, Any] = {}
    for name in random.sample(NAMES, random.randint(1, 4)):
        kind = random.random()
        inner = document(random, depth + 1) if depth < 3 else "innocent"
        members[name] = (
            inner
            if kind < 0.4
            else [inner, "innocent"]
            if kind < 0.6
            else json.dumps(inner)
            if kind < 0.75
            else "innocent"
        )
    hidden: dict[str, Any] = random.choice(
        (
            {"card": SECRET},
            {"Card": [SECRET]},
            {"card": {"number": SECRET}},
            {"order": [{"pin": SECRET}]},
            {"order.pin": SECRET},
            {"user": {"email": [[SECRET]]}},
            {"data": {"card": SECRET, "order": {"PIN": SECRET}}},
            {"Message": json.dumps({"card": SECRET})},
            {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data": {"card": SECRET}},
        )
    )
    return {**members, **hidden} if depth == 0 else members


def paths(value: Any, path: str = "") -> list[str]:
    """Return the paths of all fields of a document."""
    if isinstance(value, list):
        return [found for inner in value for found in paths(inner, path)]
    if not isinstance(value, dict):
        return [path]
    return [path] * bool(path) + [
        found for name, inner in value.items() for found in paths(inner, f"{path}.{name}".lstrip("."))
    ]


def said(policy: dict[str, Any], scope: Scope, message: MessageFields) -> str:
    failure = first_failure(parse_policy(json.dumps(policy), scope), message, Budget())
    return explain(failure, MaskScreen(Mask(FIELDS), message)) if failure else ""


def test_no_word_about_a_body_holds_a_masked_value() -> None:
    random = Random(7)
    spoken = 0
    for _ in range(300):
        body = document(random)
        message = MessageFields(json.dumps(body), {})
        for path in paths(body):
            words = said({path: [random.choice(CONDITIONS)]}, "MessageBody", message)
            assert SECRET not in words, (body, path)
            spoken += bool(words)
    assert spoken > 1_000


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("token", "String", SECRET),
        ("TOKEN", "String", SECRET),
        ("token", "String.Array", json.dumps([SECRET, 5])),
        ("note", "String", json.dumps({"card": SECRET})),
        ("note", "String.Array", json.dumps([json.dumps({"card": SECRET})])),
        ("note", "String", f"card={SECRET}"),
    ],
)
def test_no_word_about_an_attribute_holds_a_masked_value(name: str, kind: str, value: str) -> None:
    for condition in CONDITIONS:
        message = MessageFields("", {name: (kind, value), "other": ("String", "x")})
        assert SECRET not in said({name: [condition]}, "MessageAttributes", message)
        assert SECRET not in said({"$or": [{name: [condition]}, {"a": ["b"]}]}, "MessageAttributes", message)


def test_a_body_that_is_masked_whole_is_not_spoken_of() -> None:
    message = MessageFields('{"card": "1", "n": NaN, "note": "x"}', {})
    binary = MessageFields('{"note": "c2VjcmV0"}', {"ce-datacontentencoding": ("String", "base64")})

    assert said({"note": ["y"]}, "MessageBody", message) == "the body is not a JSON object"
    assert said({"note": ["y"]}, "MessageBody", binary) == "note does not match (its value is masked)"


def test_what_a_policy_wants_of_a_masked_field_is_not_shown() -> None:
    mask = Mask(FIELDS)
    for path in ("card", "data.card", "detail.data.Card", "card.number", "order.pin", "a.order.pin"):
        assert hides(mask, "MessageBody", path)
    assert hides(mask, "MessageAttributes", "Token")
    assert hides(mask, "MessageBody", "data_base64")
    for path in ("cardholder", "order", "note"):
        assert not hides(mask, "MessageBody", path)
    assert not hides(Mask([]), "MessageBody", "card")
    missing = said({"card": [SECRET]}, "MessageBody", MessageFields('{"a": 1}', {}))
    assert missing == "card is missing"
    assert MASK not in missing

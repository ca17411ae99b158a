"""The description of the API is complete and true: calls answer as documented, and there are no others."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.dead_letters import die
from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.stores import Store
from viewer.app import create_app
from viewer.settings import ViewerSettings

OpenViewer = Callable[..., FlaskClient]
schemathesis.serializer("application/x-ndjson")(lambda _, value: str(value).encode())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def make_app() -> OpenAPI:
    """Make a viewer that reaches nothing."""
    nothing: Any = None
    parts = dict.fromkeys(
        ("database", "reader", "topic", "sqs", "topology", "hub", "tail", "health", "stop"), nothing
    )
    return create_app(
        **parts, settings=ViewerSettings.model_validate({"database_url": "postgresql://nowhere"})
    )


DOCUMENT = make_app().api_doc
OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
# A stream has no end; it has tests of its own.
CALLS = [(path, method) for path, method, _ in OPERATIONS if path != "/api/stream"]


# The viewer's own threads draw random numbers meanwhile (retries, the pool), which is taken for a strategy's.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize(("path", "method"), CALLS)
def test_a_call_answers_as_documented(
    open_viewer: OpenViewer, store: Store, ministack: Names, path: str, method: str
) -> None:
    store.add([arrival({"n": number, "color": "#7cc4ff"}) for number in range(5)])
    die(store, "poison")
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)
    examples = 3 if "redrive" in path else 20  # each looks through the queue, which takes a second
    described = schemathesis.openapi.from_wsgi("/api/openapi.json", viewer.application)

    @given(case=described[path][method].as_strategy())
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    def check(case: Any) -> None:
        case.headers["Accept-Encoding"] = "identity"  # schemathesis reads no other from a WSGI application
        if case.query:
            case.query.pop("wait", None)  # it takes its time
        case.call_and_validate(checks=CHECKS)

    check()


def test_every_route_is_documented_and_nothing_else() -> None:
    rules = [
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)), rule) for rule in make_app().url_map.iter_rules()
    ]
    routes = {
        (path, method)
        for path, rule in rules
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and not rule.endpoint.endswith("static")
    }
    documented = {(path, method.upper()) for path, method, _ in OPERATIONS}

    # The pages for people.
    assert routes - documented == {("/", "GET"), ("/docs", "GET")}
    assert documented <= routes


# ---- what it says


@pytest.mark.parametrize(
    "operation", [operation for _, _, operation in OPERATIONS], ids=lambda operation: operation["operationId"]
)
def test_every_operation_has_a_description_and_examples(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    contents = [
        content
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
    ]
    contents += operation.get("requestBody", {}).get("content", {}).values()
    assert [content["schema"] for content in contents if not list(examples_of(content))] == []
    assert "400" in operation["responses"]


def examples_of(content: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the examples of a content, each with its schema."""
    schema = content["schema"]
    if "example" in content:
        yield content["example"], schema
    for one in [schema, *schema.get("anyOf", ())]:
        resolved = DOCUMENT["components"]["schemas"].get(one.get("$ref", "").rpartition("/")[2], one)
        if "example" in resolved:
            yield resolved["example"], one


def test_examples_are_valid_by_their_schemas() -> None:
    contents = [
        content
        for _, _, operation in OPERATIONS
        for answer in [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in answer.get("content", {}).values()
    ]
    examples = [example for content in contents for example in examples_of(content)]

    assert len(examples) > len(OPERATIONS)
    for example, schema in examples:
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(example)


def test_every_component_is_referred_to() -> None:
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(DOCUMENT)))

    assert DOCUMENT["components"]["schemas"].keys() == referred


# ---- limits


def limits() -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield path, method, parameter, a value at a limit or beyond it, and whether it is allowed."""
    for path, method, operation in OPERATIONS:
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                for value, allowed in values_of(parameter["schema"]):
                    if (parameter["name"], value) != ("wait", "60"):  # it would take a minute
                        yield path, method, parameter["name"], value, allowed


def values_of(schema: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    kinds = [schema, *schema.get("anyOf", ())]
    for kind in kinds:
        if "minimum" in kind:
            least, most = int(kind["minimum"]), int(kind["maximum"])
            yield from [
                (str(least), True),
                (str(least - 1), False),
                (str(most), True),
                (str(most + 1), False),
            ]
        if "maxLength" in kind:
            yield from [("a" * kind["maxLength"], True), ("a" * (kind["maxLength"] + 1), False)]
        if kind.get("type") == "boolean":
            yield from [("0", True), ("1", True), ("false", True), ("true", True)]
        yield from ((value, True) for value in kind.get("enum", ()))
    if any(kind.get("type") != "string" or {"enum", "format"} & kind.keys() for kind in kinds):
        yield "other", False


def test_the_limits_in_the_document_are_those_of_the_viewer(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    viewer = open_viewer(store, ministack.topic, queue_name=ministack.queue)

    assert len(list(limits())) > 80
    for path, method, name, value, allowed in limits():
        asked = path.replace("{seq}", "1")
        answer = viewer.open(asked, method=method.upper(), query_string={name: value})
        refused = answer.status_code == 400 and answer.json["parameter"] == name  # type: ignore[index]
        answer.close()
        assert refused is not allowed, f"{method} {path}?{name}={value[:30]}: {answer.status}"


REDRIVE = "POST /api/dead-letters/redrive"
PUBLISH = "POST /api/messages"
FAULTS = "PUT /api/faults"


@pytest.mark.parametrize(
    ("call", "body", "member"),
    [
        (REDRIVE, {"all": True, "per_second": 0}, "per_second"),
        (REDRIVE, {"all": True, "per_second": 501}, "per_second"),
        (REDRIVE, {"all": True, "per_second": "5"}, "per_second"),
        (REDRIVE, {"all": True, "per_second": True}, "per_second"),
        (REDRIVE, {"all": False}, "all"),
        (REDRIVE, {"message_ids": []}, "message_ids"),
        (REDRIVE, {"message_ids": ["x"] * 1001}, "message_ids"),
        (REDRIVE, {"message_ids": [1]}, "message_ids"),
        (REDRIVE, {"all": True, "often": 1}, "often"),
        (FAULTS, {"fail": 1.01}, "fail"),
        (FAULTS, {}, "fail"),
        (PUBLISH, {"specversion": "1.0", "source": "/a", "type": "t"}, "id"),
        (PUBLISH, {"specversion": "1.0", "id": "1", "source": "", "type": "t"}, "source"),
        (PUBLISH, {"specversion": "1.0", "id": "1", "source": "\ud800", "type": "t"}, "source"),
        (PUBLISH, {"specversion": "0.3", "id": "1", "source": "/", "type": "t"}, "specversion"),
    ],
)
def test_a_wrong_body_is_refused_by_the_name_of_its_member(
    open_viewer: OpenViewer, store: Store, call: str, body: object, member: str
) -> None:
    method, path = call.split()

    answer = open_viewer(store).open(path, method=method, json=body)

    assert answer.status_code == 400, answer.text
    assert answer.json["parameter"] == member  # type: ignore[index]
    assert answer.json["detail"].startswith(member)  # type: ignore[index]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit should be a whole number from 1 to 500"),
        ("limit=%D9%A3", "limit should be a whole number from 1 to 500"),
        ("after=x", "after should be a whole number from 0 to 9223372036854775807 or now"),
        ("since=x", "since should be a time with its zone (RFC 3339), such as 2026-01-31T12:00:00Z"),
        ("sauce=x&limit=0", "sauce is not a parameter here; the parameters are q, source, "),
    ],
)
def test_a_problem_says_what_is_expected(
    open_viewer: OpenViewer, store: Store, query: str, detail: str
) -> None:
    answer = open_viewer(store).get(f"/api/messages?{query}")

    assert answer.json["detail"].startswith(detail)  # type: ignore[index]


def test_a_body_that_is_no_object_is_refused_with_an_example(open_viewer: OpenViewer, store: Store) -> None:
    answer = open_viewer(store).put("/api/faults", json=[])

    assert answer.json["detail"] == 'the body should be an object such as {"fail": 0.2}'  # type: ignore[index]


# ---- where it is


def test_the_document_names_the_path_that_everything_is_served_under(
    open_viewer: OpenViewer, store: Store
) -> None:
    viewer = open_viewer(store, path_prefix="/tools/fanout")

    document = viewer.get("/tools/fanout/api/openapi.json").json

    assert document is not None
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/tools/fanout"}]
    assert 'data-document="/tools/fanout/api/openapi.json"' in viewer.get("/tools/fanout/docs").text


def test_the_docs_need_the_token(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, viewer_token=SecretStr("token of some length"))
    with_token = {"Authorization": "Bearer token of some length"}

    assert viewer.get("/docs").location == "/login?next=/docs"
    assert viewer.get("/api/openapi.json").status_code == 401
    for path in ("/docs", "/api/openapi.json"):
        assert viewer.get(path, headers=with_token).status_code == 200
    assert DOCUMENT["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}


def test_latest_leads_to_the_newest_message_found(open_viewer: OpenViewer, store: Store) -> None:
    seqs = store.add([arrival("a", type="x"), arrival("b", type="x"), arrival("c", type="y")])
    viewer = open_viewer(store)

    assert viewer.get("/latest?q=type:x").location == f"/?q=type:x&m={seqs[1]}"
    assert viewer.get("/latest?q=type:z").status_code == 404

"""The description of the API is true: each call answers as documented, and there are no others."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
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
from viewer.api.openapi import describe

OpenViewer = Callable[..., FlaskClient]


# A stream has no end; it has tests of its own.
CALLS = [
    (path, method)
    for path, operations in describe()["paths"].items()
    for method in operations
    if path != "/api/stream"
]


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


def not_a_server_error_but_away(context: Any, answer: Any, case: Any) -> None:
    # 503 says that something else is away, and is documented.
    if answer.status_code != 503:
        not_a_server_error(context, answer, case)


CHECKS = [
    not_a_server_error_but_away,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_route_is_documented(open_viewer: OpenViewer, store: Store) -> None:
    app = open_viewer(store).application
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)), method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    }
    documented = {
        (path, method.upper()) for path, operations in describe()["paths"].items() for method in operations
    }

    assert routes - documented == {
        ("/", "GET"),
        ("/docs", "GET"),
        ("/api/openapi.json", "GET"),
        ("/metrics", "GET"),
    }
    assert documented <= routes


def test_the_docs_name_every_call_and_ask_nobody_else(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)
    page = viewer.get("/docs").text

    for path in describe()["paths"]:
        assert path in page
    assert "http://" not in page
    assert "https://" not in page
    assert viewer.get("/api/openapi.json").json == {**describe(), "servers": [{"url": "/"}]}


def test_latest_leads_to_the_newest_message_found(open_viewer: OpenViewer, store: Store) -> None:
    seqs = store.add([arrival("a", type="x"), arrival("b", type="x"), arrival("c", type="y")])
    viewer = open_viewer(store)

    assert viewer.get("/latest?q=type:x").location == f"/?q=type:x&m={seqs[1]}"
    assert viewer.get("/latest?q=type:z").status_code == 404

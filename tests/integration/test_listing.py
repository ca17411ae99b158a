"""What the list of messages asks for besides the messages: how many there are, and fields of them."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.support.examples import arrival
from tests.support.stores import Store
from viewer.api import listing

OpenViewer = Callable[..., FlaskClient]


@pytest.fixture
def viewer(open_viewer: OpenViewer, store: Store) -> FlaskClient:
    return open_viewer(store)


def test_what_a_search_finds_is_counted(viewer: FlaskClient, store: Store) -> None:
    store.add([arrival("red"), arrival("blue"), arrival("red")])

    assert viewer.get("/api/messages/count?q=red").json == {"count": 2, "exact": True, "suggestion": None}
    assert viewer.get("/api/messages/count").json == {"count": 3, "exact": True, "suggestion": None}


def test_counting_stops_at_a_bound(
    viewer: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_COUNTED", 2)
    store.add([arrival("red"), arrival("red")])
    assert viewer.get("/api/messages/count?q=red").json == {"count": 2, "exact": True, "suggestion": None}

    store.add([arrival("red")])

    assert viewer.get("/api/messages/count?q=red").json == {"count": 2, "exact": False, "suggestion": None}


@pytest.mark.parametrize(
    ("q", "meant"),
    [
        ("typ:shop.order", "type:shop.order"),
        ("-sorce:/a two", "-source:/a two"),
        ('stats:dead "typ:x"', 'status:dead "typ:x"'),
        ("data.typ:x", None),
        ("color:red", None),
        ("typ", None),
        ("(typ:a OR -(sorce:b))", "(type:a OR -(source:b))"),
        ("one or two", "one OR two"),
        ("or one", None),
        ("one AND two", "one two"),
        ('"one or two"', None),
    ],
)
def test_a_misspelt_operator_is_suggested_right(viewer: FlaskClient, q: str, meant: str | None) -> None:
    found = viewer.get("/api/messages/count", query_string={"q": q}).json

    assert found == {"count": 0, "exact": True, "suggestion": meant}


def test_a_search_that_finds_something_is_not_corrected(viewer: FlaskClient, store: Store) -> None:
    store.add([arrival({"typ": "x"})])

    assert viewer.get("/api/messages/count?q=typ:x").json == {"count": 1, "exact": True, "suggestion": None}


def test_fields_are_read_as_a_search_names_them(viewer: FlaskClient, store: Store) -> None:
    order = {
        "order": {"id": 12345678901234567890},
        "items": [{"sku": "x"}, {"sku": "y"}, 3],
        "a.b": {"c": None},
    }
    first, second = store.add([arrival(order, attributes={"tenant": "acme"}), arrival("a text")])
    names = "data.order.id,order.id,items.sku,data.a.b.c,attr.tenant,data.missing,attr.missing,topic,Queue"

    found = viewer.get(f"/api/messages/fields?names={names}&seqs={second},{first},999999").json

    assert found == {
        "messages": [
            {
                "seq": first,
                "fields": {
                    "data.order.id": "12345678901234567890",
                    "order.id": "12345678901234567890",
                    "items.sku": "x, y",
                    "data.a.b.c": "null",
                    "attr.tenant": "acme",
                    "Queue": "broadcasts-consumer",
                },
            },
            {"seq": second, "fields": {"Queue": "broadcasts-consumer"}},
        ]
    }


def test_a_masked_field_stays_masked(open_viewer: OpenViewer, store: Store) -> None:
    (seq,) = store.add([arrival({"card": "4242"}, attributes={"token": "secret"})])
    viewer = open_viewer(store, redact="data.card,attr.token")

    answer = viewer.get(f"/api/messages/fields?names=data.card,attr.token,card&seqs={seq}")

    assert answer.status_code == 200
    assert "4242" not in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "names=a",
        "names=,a&seqs=1",
        "names=a&seqs=x",
        "names=a&seqs=" + ",".join(["1"] * 201),
        "names=" + ",".join(["a"] * 11) + "&seqs=1",
    ],
)
def test_wrong_fields_are_refused(viewer: FlaskClient, query: str) -> None:
    assert viewer.get(f"/api/messages/fields?{query}").status_code == 400

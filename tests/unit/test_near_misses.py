"""What a near miss says in words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from viewer.api import examples
from viewer.api.models import WholeMessage
from viewer.api.near_misses import MAX_SHOWN, explain_miss

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DATA = {
    "text": "two lamps",
    "order": {"id": 42, "Sold.At": "Berlin"},
    "items": [{"sku": f"A-{number}"} for number in range(1, 6)],
    "note": "long " * 30,
}


def message(data: Any = DATA) -> WholeMessage:
    given = {"time": NOON, "size": 440, "data": data, "attributes": {"Tenant": "acme"}}
    return WholeMessage(**{**examples.WHOLE, **given})


@pytest.mark.parametrize(
    ("missed", "actual"),
    [
        ("type:shop.refund", "type is shop.order"),
        ("id:B-2", "id is A-1"),
        ("topic:orders", "topic is broadcasts"),
        ("subject:x*", "subject is An order"),
        ("queue:audit", "queue is broadcasts-consumer"),
        ("items.sku:A-9", "items.sku is A-1, A-2, A-3, …"),
        ("data.order.id:43", "data.order.id is 42"),
        ("Order.sold.at:noon", "Order.sold.at is Berlin"),
        ("order:43", 'order is {"id": 42, "Sold.At": "Berlin"}'),
        ("color:red", "it has no color"),
        ("data:red", "it has no data"),
        ("attr.tenant:beta", "attr.tenant is acme"),
        ("attr.region:eu", "it has no attr.region"),
        ("larger:1m", "its size is 440"),
        ("status:dead", "status is None"),
        ("bananas", "it does not contain bananas"),
        ("https://example.com", "it does not contain https://example.com"),
        ('"lamps two"', 'it does not contain "lamps two"'),
        ("-type:shop.*", "it matches type:shop.*"),
        ("(type:a OR -lamps)", "type is shop.order, and it matches lamps"),
        (
            "(items.sku:A-9 OR color:red OR id:B-2 OR bananas)",
            "items.sku is A-1, A-2, A-3, …, and it has no color, and id is A-1, …",
        ),
        ("(type:a items.sku:A-1)", "it does not meet all of these"),
        ("(type:a OR (color:red OR -lamps))", "it meets none of these"),
        ("-(type:shop.* OR lamps)", "it matches (type:shop.* OR lamps)"),
        ("after:2030-01-01", "it was sent at 2026-01-31T12:00:00.000000Z"),
    ],
)
def test_a_near_miss_says_what_it_has_instead(missed: str, actual: str) -> None:
    assert explain_miss(missed, message()) == actual


def test_a_long_value_is_cut() -> None:
    shown = explain_miss("note:short", message())

    assert len(shown) == len("note is ") + MAX_SHOWN
    assert shown.endswith("…")


def test_what_was_missed_is_looked_for_in_a_bounded_part_of_the_data() -> None:
    deep: Any = {"sku": "A-1"}
    for _ in range(5_000):
        deep = [deep]

    assert explain_miss("sku:A-2", message(deep)) == "sku is A-1"
    assert explain_miss("sku:A-2", message([[[]] * 1_000] * 1_000)) == "it has no sku"
    assert explain_miss("sku:A-2", message("a text")) == "it has no sku"

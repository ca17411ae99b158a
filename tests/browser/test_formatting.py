"""What the server formats and what the page formats is the same, so that a reload changes nothing."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.examples import arrival
from tests.support.services import Viewed
from viewer.formatting import STATUS_LABELS, clock, duration, status_label

# Each begins another way to write a duration.
BOUNDARIES = [0.0005, 0.9995, 1, 59.95, 60, 3600, 86_400]


def around(seconds: float) -> list[float]:
    return [
        seconds - 1,
        seconds - 0.05,
        seconds - 0.0001,
        seconds,
        seconds + 0.0001,
        seconds + 0.05,
        seconds + 1,
    ]


def durations() -> list[float | None]:
    choose = random.Random(1)
    near = [value for boundary in BOUNDARIES for value in around(boundary)]
    far = [round(10 ** choose.uniform(-4, 8), 6) for _ in range(500)]
    return [None, 0, *near, *far, *(-value for value in (*near, *far))]


def in_page(page: Page, viewed: Viewed, module: str, expression: str, values: object) -> Any:
    """Return what this expression, which may use the module's exports as `m`, makes of the values."""
    page.goto(f"{viewed.url}/health")  # has no script of its own
    return page.evaluate(
        f"async (values) => {{ const m = await import('/static/core/{module}.js'); return {expression}; }}",
        values,
    )


@pytest.mark.parametrize("sign", ["", "+"])
def test_durations_are_the_same(page: Page, viewed: Viewed, sign: str) -> None:
    expression = f"values.map((value) => m.duration(value, {json.dumps(sign)}))"

    shown = in_page(page, viewed, "format", expression, durations())

    assert shown == [duration(value, sign) for value in durations()]


def test_statuses_are_the_same(page: Page, viewed: Viewed) -> None:
    labels = in_page(page, viewed, "format", "m.STATUS_LABELS", None)

    assert labels == STATUS_LABELS
    assert {status: status_label(status) for status in labels} == labels


def test_times_of_today_are_the_same(browser: Any, viewed: Viewed) -> None:
    day = datetime(2026, 3, 4, tzinfo=UTC)
    times = [
        day.replace(hour=hour, minute=minute, second=second).isoformat().replace("+00:00", "Z")
        for hour in (0, 1, 9, 12, 13, 23)
        for minute, second in ((0, 0), (5, 7), (59, 59))
    ]
    context = browser.new_context(timezone_id="UTC", locale="en-US")
    page = context.new_page()
    page.clock.set_fixed_time(day.replace(hour=12))

    shown = in_page(page, viewed, "clock", "values.map((value) => m.clock(value))", times)
    context.close()

    assert shown == [clock(time) for time in times]


def test_a_row_that_arrives_is_the_same_after_a_reload(page: Page, viewed: Viewed) -> None:
    page.goto(viewed.url)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    viewed.store.add(
        [
            arrival({"text": "first", "sequence": 7, "color": "#7cc4ff"}, type="shop.order"),
            arrival("", receive_count=3),
            arrival("<b>third</b>", source="/a"),
        ]
    )
    expect(page.locator("tr.message")).to_have_count(3)
    read = """(rows) => rows.map((row) => {
        row.classList.remove("fresh", "chosen");
        row.querySelector("a").ariaCurrent = null;
        return row.outerHTML;
    })"""
    live = page.locator("tr.message").evaluate_all(read)

    page.reload()
    page.wait_for_selector("[data-ready]")

    assert page.locator("tr.message").evaluate_all(read) == live

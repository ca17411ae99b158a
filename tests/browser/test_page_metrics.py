"""The charts: they stay as they are read, lead to the messages, and show an outage as a gap."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.support.examples import arrival
from tests.support.services import Viewed


@pytest.fixture
def charts(page: Page, viewed: Viewed) -> Page:
    """The view of the charts, with samples of the last minutes, between which some are missing."""
    now = datetime.now(UTC)
    begin = datetime.fromtimestamp(now.timestamp() // 5 * 5 - 240, UTC)
    with viewed.store.connection() as connection:
        connection.execute("DELETE FROM samples")
        for number in (*range(20), *range(30, 46)):
            connection.execute(
                """INSERT INTO samples
                       (at, stored, duplicates, failed, p50, p95, p99, visible, in_flight, dead)
                   VALUES (%s, %s, 0, 1, 0.01, 0.02, 0.2, 3, 1, 7)""",
                [begin + timedelta(seconds=5 * number), 10 + number],
            )
    viewed.store.add([arrival("now")])
    page.goto(f"{viewed.url}/?tab=metrics")
    expect(page.locator("figure canvas")).to_have_count(5)
    expect(page.locator("figure").first).to_contain_text("/s")
    return page


def test_the_crosshair_reads_all_charts_and_stays_when_they_are_drawn_again(charts: Page) -> None:
    charts.locator(".u-over").first.hover(position={"x": 150, "y": 60})
    times = charts.locator("figcaption small")
    read = times.all_inner_texts()
    assert len(set(read)) == 1
    expect(charts.locator("figure").nth(1)).to_contain_text("p99 200 ms")

    with charts.expect_response(re.compile("/api/stats")):
        pass

    assert len(set(times.all_inner_texts())) == 1
    expect(charts.locator(".u-cursor-x:not(.u-off)")).to_have_count(5)


def test_dragging_chooses_a_range_and_a_click_leads_to_the_messages(charts: Page) -> None:
    box = charts.locator(".u-over").first.bounding_box()
    assert box
    y = box["y"] + 50
    charts.mouse.move(box["x"] + 50, y)
    charts.mouse.down()
    charts.mouse.move(box["x"] + 200, y, steps=5)
    charts.mouse.up()

    expect(charts).to_have_url(re.compile(r"q=after%3A\S+before%3A"))
    expect(charts.get_by_role("heading", name="Metrics")).to_be_visible()
    charts.get_by_role("button", name="Zoom out").click()
    expect(charts.get_by_role("button", name="Zoom out")).to_have_count(0)
    charts.locator(".u-over").first.click(position={"x": 60, "y": 60})
    expect(charts.get_by_role("searchbox")).to_have_value(re.compile(r"after:\S+ before:\S+"))


def test_an_outage_is_a_gap(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/health")
    stats = {
        "begin": "2026-01-31T12:00:00Z",
        "window": "5m",
        "width_seconds": 5,
        "points": [{"at": f"2026-01-31T12:00:{second:02}Z", "dead": 1} for second in (0, 5, 20)],
    }
    found = page.evaluate(
        """async (stats) => {
            const { slots } = await import("/static/views/metrics/charts.js");
            return slots(stats).points.map((point) => point?.dead ?? null).slice(0, 6);
        }""",
        stats,
    )

    assert found == [1, 1, None, None, 1, None]


def test_the_charts_follow_the_theme(charts: Page) -> None:
    before = charts.locator("canvas").first.screenshot()

    charts.get_by_role("button", name="theme").click()
    charts.get_by_role("button", name="theme").click()

    expect(charts.locator("html")).to_have_attribute("data-theme", "dark")
    assert charts.locator("canvas").first.screenshot() != before

"""The list, with messages as they really are: its columns, its count, its times; and that it holds still."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_page, shown
from tests.support.examples import arrival
from tests.support.services import Viewed

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def search(page: Page, q: str) -> None:
    page.get_by_role("searchbox").fill(q)
    page.get_by_role("searchbox").press("Enter")


def width(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    return box["width"] if box else 0


@pytest.mark.parametrize("window", [360, 768, 1024, 1440, 2560])
def test_type_source_and_a_readable_preview_are_visible_at_every_width(
    page: Page, viewed: Viewed, window: int
) -> None:
    viewed.store.add([arrival({"order": "x" * 200}, type="shop.order.created", source="/shop/eu")])
    page.set_viewport_size({"width": window, "height": 800})
    open_page(page, viewed)
    page.locator("tr.message").click()
    if window < 740:
        page.keyboard.press("Escape")  # the message covers the list

    for part in ("type", "source"):
        expect(page.locator(f"tr.message .{part}")).to_be_visible()
        assert width(page, f"tr.message .{part}") > 50
    assert width(page, "tr.message .text .ellipsis") > 200
    assert page.evaluate("document.documentElement.scrollWidth") == window


def test_every_view_can_be_chosen_on_a_phone(page: Page, viewed: Viewed) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, viewed)
    page.locator("#dead-count").evaluate("(count) => { count.textContent = '123'; }")

    assert page.locator("#tabs").evaluate("(tabs) => tabs.scrollWidth <= tabs.clientWidth")


@pytest.mark.parametrize("window", [360, 1440])
def test_columns_of_ones_own_leave_room_for_the_message(page: Page, viewed: Viewed, window: int) -> None:
    viewed.store.add([arrival({"a": 1, "b": 2, "c": 3})])
    page.set_viewport_size({"width": window, "height": 800})
    page.goto(f"{viewed.url}/?cols=data.a,data.b,data.c,attr.tenant")

    expect(page.locator("tr.message .field").first).to_have_text("1")
    assert width(page, "tr.message .text .ellipsis") > 120
    assert page.evaluate("document.documentElement.scrollWidth") == window


def test_status_and_text_never_overlap(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"sequence": 123456, "text": "x" * 300}, receive_count=3)])
    for window in (740, 760, 900, 1000, 1100):
        page.set_viewport_size({"width": window, "height": 800})
        open_page(page, viewed)
        page.locator("tr.message").click()
        expect(page.locator("#detail h2")).to_be_visible()
        boxes = page.locator("tr.message td").evaluate_all(
            "(cells) => cells.map((cell) => cell.getBoundingClientRect()).filter(({ width }) => width)"
            ".map(({ left, right, top, bottom }) => [left, right, top, bottom])"
        )
        overlaps = [
            (one, other)
            for at, one in enumerate(boxes)
            for other in boxes[at + 1 :]
            if one[0] + 1 < other[1]
            and other[0] + 1 < one[1]
            and one[2] + 1 < other[3]
            and other[2] + 1 < one[3]
        ]
        assert overlaps == []
        assert width(page, "tr.message .text .ellipsis") > 200


def test_columns_that_have_nothing_to_show_are_hidden(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"order": 1})])
    open_page(page, viewed)
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 2560, "height": 800})
    expect(page.locator("th.sequence")).to_be_hidden()
    expect(page.locator("tr.message .dot")).to_be_hidden()

    viewed.store.add([arrival({"text": "greeting", "sequence": 7, "color": "#7cc4ff"})])

    expect(page.locator("th.sequence")).to_be_visible()
    expect(page.locator("tr.message .dot").first).to_be_visible()


def test_the_time_since_the_last_message_is_that_of_the_list(page: Page, viewed: Viewed) -> None:
    times = [NOW, NOW + timedelta(minutes=4), NOW + timedelta(minutes=8)]
    first, between, second = [
        arrival(text, time=time) for text, time in zip(["red", "blue", "red too"], times, strict=True)
    ]
    viewed.store.add([first, between, second])
    page.set_viewport_size({"width": 2560, "height": 800})
    gaps = page.locator("tr.message td.gap")
    page.goto(f"{viewed.url}/?q=red")
    page.wait_for_selector("[data-ready]")
    expect(gaps).to_have_text(["+8 min 0 s", ""])

    search(page, "")
    expect(gaps).to_have_text(["+4 min 0 s", "+4 min 0 s", ""])
    search(page, "red")
    expect(gaps).to_have_text(["+8 min 0 s", ""])
    viewed.store.add(
        [
            arrival("blue too", time=NOW + timedelta(minutes=9)),
            arrival("red again", time=NOW + timedelta(minutes=10)),
        ]
    )
    expect(gaps).to_have_text(["+2 min 0 s", "+8 min 0 s", ""])


def test_opening_a_message_holds_the_list_until_the_reader_returns(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("first"), arrival("second")])
    open_page(page, viewed)
    page.get_by_role("link", name="first", exact=True).click()

    viewed.store.add([arrival(f"new {number}") for number in range(12)])
    expect(page.locator("#news")).to_have_text("▲ 12 new")
    assert shown(page) == ["second", "first"]
    page.locator("#news").click()

    expect(page.locator("tr.message")).to_have_count(14)
    viewed.store.add([arrival("live again")])
    expect(page.locator("tr.message")).to_have_count(15)
    page.get_by_role("link", name="first", exact=True).click()
    page.keyboard.press("Escape")
    viewed.store.add([arrival("closed")])
    expect(page.locator("tr.message")).to_have_count(16)


def test_pausing_moves_nothing_and_says_so(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("first")])
    open_page(page, viewed)
    expect(page.locator("#flow li").first).to_be_visible()
    before = page.locator("tr.message").bounding_box()

    page.get_by_role("button", name="pause").click()
    viewed.store.add([arrival("second")])
    expect(page.locator("#news")).to_be_visible()

    expect(page.locator("#connection")).to_have_text("paused")
    assert page.locator("tr.message").bounding_box() == before
    page.locator("#news").click()
    expect(page.locator("#connection")).to_have_text("live")


def test_any_field_is_a_column_in_the_address_and_remembered(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"order": {"id": "A-1"}, "items": [{"sku": "x"}, {"sku": "y"}]})])
    page.set_viewport_size({"width": 1600, "height": 800})
    open_page(page, viewed)
    page.get_by_text("columns", exact=True).click()
    page.get_by_label("field", exact=True).fill("data.order.id")
    page.get_by_role("button", name="Add a column").click()
    fields = page.locator("tr.message td.field")
    expect(fields).to_have_text(["A-1"])

    page.locator(".leaf", has_text='"x"').click()
    page.get_by_role("button", name="show as a column").click()
    expect(fields).to_have_text(["A-1", "x, y"])
    expect(page).to_have_url(re.compile(r"cols=data.order.id%2Cdata.items.sku"))
    viewed.store.add([arrival({"order": {"id": "A-2"}}, attributes={"tenant": "acme"})])
    page.keyboard.press("Escape")
    expect(fields).to_have_text(["A-2", "", "A-1", "x, y"])
    page.goto(viewed.url)
    expect(fields).to_have_text(["A-2", "", "A-1", "x, y"])
    page.get_by_text("columns", exact=True).click()
    page.get_by_role("button", name="remove the column data.items.sku").click()
    expect(fields).to_have_text(["A-2", "A-1"])


def test_the_count_of_a_search_follows_the_stream(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("red"), arrival("blue")])
    open_page(page, viewed)
    count = page.locator("#count")
    expect(count).to_have_text("2 messages")

    search(page, "red")
    expect(count).to_have_text("1 match")
    viewed.store.add([arrival("red too"), arrival("blue too")])
    expect(count).to_have_text("2 matches")


def test_more_than_ten_thousand_are_not_counted(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    page.route(
        "**/api/messages/count*",
        lambda route: route.fulfill(json={"count": 10_000, "exact": False, "suggestion": None}),
    )
    search(page, "x")

    expect(page.locator("#count")).to_have_text("more than 10,000 matches")


def test_a_misspelt_operator_is_suggested_right(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("hello", type="shop.order")])
    open_page(page, viewed)
    search(page, "typ:shop.order")

    page.get_by_role("button", name="type:shop.order").click()

    expect(page.locator("tr.message")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("type:shop.order")


def test_a_range_of_time_is_picked(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival(f"at {hour}", time=NOW.replace(hour=hour)) for hour in (8, 10, 12)])
    open_page(page, viewed)
    page.keyboard.press("t")  # UTC
    page.get_by_text("time", exact=True).click()
    page.get_by_label("from").fill("2026-01-31T09:00:00")
    page.get_by_label("to", exact=True).fill("2026-01-31T11:30:00")
    page.get_by_role("button", name="Show this range").click()

    expect(page.locator("tr.message td.text")).to_have_text(["at 10"])
    expect(page.get_by_role("searchbox")).to_have_value(
        "after:2026-01-31T09:00:00Z before:2026-01-31T11:30:00Z"
    )
    page.get_by_text("time", exact=True).click()
    expect(page.get_by_label("from")).to_have_value("2026-01-31T09:00")
    page.get_by_role("button", name="any time").click()
    expect(page.locator("tr.message")).to_have_count(3)


def test_the_rows_of_a_phone_are_alike(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"text": "numbered", "sequence": 1}), arrival({"order": 1})])
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, viewed)

    places = page.locator("tr.message .time").evaluate_all(
        """(cells) => cells.map((cell) => {
            const [own, row] = [cell, cell.parentElement].map((one) => one.getBoundingClientRect());
            return [own.left - row.left, own.top - row.top];
        })"""
    )
    assert places[0] == places[1]
    header = page.evaluate(
        """() => document.getElementById("search").getBoundingClientRect().bottom
               - document.getElementById("outage").getBoundingClientRect().height"""
    )
    assert header < 740 * 0.22  # with the line of stages, which says that AWS is away

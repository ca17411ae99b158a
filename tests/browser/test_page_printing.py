"""The page on paper: black on white, with nothing cut and no buttons."""

import re

import pytest
from playwright.sync_api import Page, expect

from pipeline.store.failures import FailedTry
from tests.support.examples import arrival, raw_arrival
from tests.support.services import Viewed
from tests.support.stores import FailureRecords

LONG = " ".join(f"word{number}" for number in range(30))
CUT = """() => [...document.querySelectorAll("body *")].filter((one) => {
    const { overflow } = getComputedStyle(one);
    return one.clientWidth > 1 && overflow !== "visible" && !one.closest("svg, .uplot")
        && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
}).map((one) => one.outerHTML.slice(0, 200))"""
COLORS = """() => [...document.querySelectorAll("body, main, h1, h2, .text, .content")].map((one) => {
    const { color, backgroundColor } = getComputedStyle(one);
    return [color, backgroundColor];
})"""


def print_page(page: Page) -> None:
    """Show the page as it is printed on A4."""
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 718, "height": 1000})


def assert_readable(page: Page) -> None:
    assert page.evaluate(CUT) == []
    colors = page.evaluate(COLORS)
    assert {ink for ink, _ in colors} <= {"rgb(0, 0, 0)", "rgb(51, 51, 51)"}
    assert {ground for _, ground in colors} <= {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
    buttons = page.locator("button:visible").all_inner_texts()
    assert not {"find", "copy", "filter", "expand all", "Redrive all", "24 hours"} & set(buttons)
    expect(page.locator("#tabs, .menu, input[type=checkbox]").locator("visible=true")).to_have_count(0)


@pytest.fixture
def dark(page: Page) -> Page:
    page.emulate_media(color_scheme="dark")
    return page


def test_the_list_is_printed_whole_without_the_message_beside_it(dark: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"text": LONG}, type="shop.order", source="/shop/" + "x" * 60)])
    viewed.store.add([arrival({"text": f"{number}"}) for number in range(29)])
    dark.goto(f"{viewed.url}/?q=word1 OR test.message")
    expect(dark.locator("#detail .json")).to_be_visible()

    print_page(dark)

    assert_readable(dark)
    expect(dark.locator("#detail")).to_be_hidden()
    expect(dark.get_by_role("searchbox")).to_have_value("word1 OR test.message")
    assert dark.evaluate("document.documentElement.scrollHeight") > 1000
    assert dark.pdf(format="A4").count(b"/Type /Page\n") >= 2


@pytest.mark.parametrize("pane", ["data", "attributes", "timeline", "raw"])
def test_an_open_message_is_printed_alone_and_whole(dark: Page, viewed: Viewed, pane: str) -> None:
    viewed.store.add([arrival({"text": LONG, "items": list(range(80))}, attributes={"tenant": "acme"})])
    seq = viewed.store.newest()
    dark.goto(f"{viewed.url}/?m={seq}&pane={pane}")
    expect(dark.locator("#content")).to_be_visible()

    print_page(dark)

    assert_readable(dark)
    expect(dark.locator("#list")).to_be_hidden()
    expect(dark.locator("#detail h2")).to_be_visible()
    expect(dark.locator(".facts").get_by_text("test.message")).to_be_visible()
    expect(dark.get_by_role("tab", name=re.compile(pane, re.IGNORECASE))).to_be_visible()


def test_dead_letters_are_printed_with_their_errors(dark: Page, viewed: Viewed) -> None:
    letter = raw_arrival(LONG)
    trace = "Traceback:\n" + '  File "handler.py", line 1, in ' + "x" * 200
    FailureRecords(viewed.store).record([FailedTry(letter, "KeyError", LONG, trace, last=True)])
    dark.goto(f"{viewed.url}/?tab=dead")
    dark.locator(".card summary").click()
    expect(dark.locator(".card .whole")).to_be_visible()

    print_page(dark)

    assert_readable(dark)
    expect(dark.locator(".card .problem").first).to_contain_text("word29")


def test_charts_are_printed_dark_on_white(dark: Page, viewed: Viewed) -> None:
    dark.goto(f"{viewed.url}/?tab=metrics")
    expect(dark.locator("figure canvas").first).to_be_visible()

    print_page(dark)

    assert_readable(dark)
    darkest = """(canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let [least, painted] = [255, 0];
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) {
            painted += 1;
            least = Math.min(least, data[at]);
        }
        return painted && least;
    }"""
    canvas = dark.locator("figure canvas").first
    dark.wait_for_function(f"(canvas) => ({darkest})(canvas) < 80", arg=canvas.element_handle())
    assert canvas.evaluate(darkest) > 0

"""Searching on the page: adding conditions to a search, also to one with OR and brackets."""

import random
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from pipeline.search.syntax import SearchError, parse
from tests.support.browser import open_page, shown
from tests.support.examples import arrival
from tests.support.services import Viewed

PIECES = [
    "a",
    "b",
    "OR",
    "or",
    "(",
    ")",
    "-",
    "-(",
    '"',
    '"c d"',
    "type:",
    "x:(e",
    "f(g)",
    ":",
    "\\",
    "//",
    "é",
]
CONDITIONS = """async (searches) => {
    const { conditionsOf } = await import("/static/core/search.js");
    return searches.map(conditionsOf);
}"""
ADD = """async ([name, value, exclude]) => {
    const { addToSearch } = await import("/static/core/search.js");
    addToSearch(name, value, exclude);
}"""


def conditions_of(search: str) -> list[str] | None:
    """Return what must hold together as the server reads it, None if it refuses the search."""
    try:
        alternatives = parse(search)
    except SearchError:
        return None
    [*sides] = alternatives
    return [f"({search.strip()})"] if len(sides) > 1 else [node.text for node in sides[0]]


def test_the_page_reads_a_search_as_the_server_does(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    choose = random.Random(1)
    drawn = ["".join(choose.choices([*PIECES, " ", " ", " "], k=choose.randint(0, 12))) for _ in range(3000)]
    known = {search: conditions for search in drawn if (conditions := conditions_of(search)) is not None}
    assert len(known) > 1000

    assert dict(zip(known, page.evaluate(CONDITIONS, list(known)), strict=True)) == known


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ("", ("type", "shop.order", False), "type:shop.order"),
        ("hello type:shop.order", ("type", "shop.order", False), "hello type:shop.order"),
        ("hello", ("type", "shop.order", True), "hello -type:shop.order"),
        ("type:a b", ("type", "a", True), "b -type:a"),
        ('text:"two lamps" b', ("text", "two lamps", False), 'b text:"two lamps"'),
        ('-text:"two lamps"', ("text", "two lamps", False), 'text:"two lamps"'),
        ("a OR b", ("type", "x", False), "(a OR b) type:x"),
        ("(a OR b) type:x", ("type", "x", True), "(a OR b) -type:x"),
        ("-(a b) c", ("text", "f(x)", False), '-(a b) c text:"f(x)"'),
        ("a", ("text", 'say "hi\\"', False), 'a text:"say \\"hi\\\\\\""'),
        ("a", ("attr.empty", "", False), 'a attr.empty:""'),
    ],
)
def test_a_value_is_added_to_the_whole_search_and_only_once(
    page: Page, viewed: Viewed, before: str, added: tuple[str, str, bool], after: str
) -> None:
    page.goto(f"{viewed.url}/?q={quote(before)}")
    expect(page.get_by_role("searchbox")).to_have_value(before)

    page.evaluate(ADD, list(added))

    expect(page.get_by_role("searchbox")).to_have_value(after)
    expect(page.locator("#search-problem")).to_be_empty()


def test_a_search_with_or_filters_the_list_and_what_arrives(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("apple"), arrival("pear"), arrival("plum")])
    open_page(page, viewed)
    search = page.get_by_role("searchbox")
    search.fill("(apple OR pear) -red")
    search.press("Enter")
    expect(page.locator("tr.message")).to_have_count(2)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")

    viewed.store.add([arrival("a red apple"), arrival("a green plum"), arrival("a green pear")])

    expect(page.locator("tr.message")).to_have_count(3)
    assert shown(page) == ["a green pear", "pear", "apple"]

    search.fill("apple OR (pear")
    search.press("Enter")
    expect(page.locator("#search-problem")).to_have_text("the bracket at 10 is not closed")

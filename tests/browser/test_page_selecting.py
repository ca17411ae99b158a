"""Selecting messages in the list, by mouse and by keyboard: to delete them, or to compare two."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from local.emulators import aws_environment
from tests.support.browser import open_page, shown
from tests.support.examples import arrival, raw_arrival
from tests.support.ports import closed_port
from tests.support.services import Service, Viewed
from tests.support.stores import Store

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"select {name}", exact=True)


def checked(page: Page) -> list[str]:
    rows = page.locator("tr.message:has(.pick :checked) td.text")
    return rows.all_inner_texts()


@pytest.fixture
def listed(page: Page, viewed: Viewed) -> Viewed:
    """Six messages, f on top, and the page that shows them."""
    viewed.store.add([arrival(name) for name in "abcdef"])
    open_page(page, viewed)
    return viewed


@pytest.mark.usefixtures("listed")
def test_boxes_select_and_shift_selects_all_between(page: Page) -> None:
    box(page, "e").check()
    box(page, "b").click(modifiers=["Shift"])
    expect(page.locator(".selection")).to_contain_text("4 selected")
    assert checked(page) == ["e", "d", "c", "b"]

    box(page, "c").uncheck()
    expect(page.locator(".selection")).to_contain_text("3 selected")
    page.get_by_role("button", name="cancel").click()

    expect(page.locator(".selection")).to_have_count(0)
    assert checked(page) == []


@pytest.mark.usefixtures("listed")
def test_the_keyboard_alone_selects_a_range_and_deletes_it(page: Page) -> None:
    questions: list[str] = []

    def accept(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.keyboard.press("j")  # from the first, which is shown
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.locator(".selection")).to_contain_text("3 selected")
    [*names] = checked(page)
    assert len(names) == 3

    page.keyboard.press("d")

    expect(page.locator("#toast")).to_have_text("3 deleted")
    expect(page.locator("tr.message")).to_have_count(3)
    assert questions == ["Delete the 3 selected messages from the store? This cannot be undone."]
    assert not set(shown(page)) & set(names)
    expect(page.locator(".selection")).to_have_count(0)


@pytest.mark.usefixtures("listed")
def test_a_box_with_the_focus_is_switched_by_space_and_by_shift_space(page: Page) -> None:
    box(page, "f").focus()
    page.keyboard.press(" ")
    box(page, "d").focus()
    page.keyboard.press("Shift+Space")

    assert checked(page) == ["f", "e", "d"]


def test_the_list_is_held_while_messages_are_selected(page: Page, listed: Viewed) -> None:
    box(page, "e").check()

    listed.store.add([arrival("new")])

    expect(page.locator("#news")).to_contain_text("1 new")
    assert shown(page) == ["f", "e", "d", "c", "b", "a"]
    page.get_by_role("button", name="cancel").click()
    expect(page.locator("tr.message")).to_have_count(7)
    assert checked(page) == []


def test_nothing_is_deleted_without_the_confirmation(page: Page, listed: Viewed) -> None:
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.get_by_text("more", exact=True).click()
    page.get_by_role("button", name="select messages").click()
    page.get_by_role("button", name="all shown").click()
    expect(page.locator(".selection")).to_contain_text("6 selected")

    page.locator(".selection").get_by_role("button", name="delete").click()

    assert listed.store.count() == 6
    assert len(checked(page)) == 6


def test_a_viewer_that_only_reads_compares_but_does_not_delete(
    page: Page, start: Callable[..., Service], store: Store
) -> None:
    store.add([arrival("one"), arrival("two")])
    viewer = start("viewer", aws_environment(closed_port()), DATABASE_URL=store.url, READ_ONLY="1")
    page.on("dialog", lambda dialog: dialog.accept())
    open_page(page, viewer)
    box(page, "one").check()
    box(page, "two").check()

    expect(page.locator(".selection").get_by_role("button", name="compare")).to_be_enabled()
    expect(page.locator(".selection").get_by_role("button", name="delete")).to_have_count(0)
    page.keyboard.press("d")
    page.keyboard.press("c")

    expect(page.locator(".diff")).to_be_visible()
    assert store.count() == 2


# ---- comparing


ORDER = {"order": {"id": 12345678901234567890, "paid": False}, "items": [{"sku": "A"}, {"sku": "B"}], "x": 1}
CHANGED = {"order": {"id": 12345678901234567891, "paid": False}, "items": [{"sku": "B"}], "x": 1, "new": None}


def differences(page: Page) -> list[tuple[str, str, str]]:
    """Return path, old and new text of what the page shows."""
    found: list[tuple[str, str, str]] = page.locator(".diff dt").evaluate_all(
        """(names) => names.map((name) => [
            name.textContent.trim(),
            name.nextElementSibling.querySelector("del")?.textContent ?? "",
            name.nextElementSibling.querySelector("ins")?.textContent ?? "",
        ])"""
    )
    return [tuple(one) for one in found]  # type: ignore[misc]


def test_two_messages_are_compared_by_path_at_an_address_of_their_own(page: Page, viewed: Viewed) -> None:
    first, second = viewed.store.add(
        [
            arrival(ORDER, type="shop.order", id="A", time=NOW, attributes={"tenant": "acme"}),
            arrival(CHANGED, type="shop.order", id="B", time=NOW, attributes={"tenant": "beta", "n": "1"}),
        ]
    )
    open_page(page, viewed)
    page.get_by_role("checkbox").last.check()
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="compare", exact=True).click()

    expect(page.locator(".diff")).to_be_visible()
    expect(page).to_have_url(f"{viewed.url}/?m={second}&with={first}")
    expected = [
        ("id", "A", "B"),
        ("attr.tenant", "acme", "beta"),
        ("attr.n", "", "1"),
        ("id", '"A"', '"B"'),
        ("data.order.id", "12345678901234567890", "12345678901234567891"),
        ("data.items[0]", '{"sku": "A"}', ""),
        ("data.new", "", "null"),
    ]
    assert differences(page) == expected

    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{viewed.url}/?m={first}&with={second}")  # whichever comes first
    expect(page.locator(".diff")).to_be_visible()
    assert differences(page) == expected
    assert page.evaluate("document.documentElement.scrollWidth") == 360

    page.get_by_role("button", name="back to the message").click()
    expect(page.locator(".diff")).to_have_count(0)
    expect(page).to_have_url(f"{viewed.url}/?m={first}")


def test_texts_are_compared_by_line_and_only_near_what_differs(page: Page, viewed: Viewed) -> None:
    lines = [f"line {number}" for number in range(30)]
    changed = [*lines[:10], "other 10", *lines[11:20], "more", *lines[20:]]
    first, second = viewed.store.add([raw_arrival("\n".join(lines)), raw_arrival("\n".join(changed))])
    page.goto(f"{viewed.url}/?m={second}&with={first}")

    expect(page.locator(".diff pre del")).to_have_text("line 10")
    expect(page.locator(".diff pre ins")).to_have_text(["other 10", "more"])
    expect(page.locator(".diff pre .left-out")).to_have_count(3)
    near = [f"line {number}" for number in (7, 8, 9, 11, 12, 13, 17, 18, 19, 20, 21, 22)]
    assert page.locator(".diff pre span:not(.left-out)").all_inner_texts() == near


def test_a_long_value_is_shown_where_it_differs(page: Page, viewed: Viewed) -> None:
    first, second = viewed.store.add(
        [raw_arrival("x" * 9000 + "a" * 100), raw_arrival("x" * 9000 + "b" * 100)]
    )
    page.goto(f"{viewed.url}/?m={second}&with={first}")

    expect(page.locator(".diff ins").last).to_have_text("…" + "x" * 200 + "b" * 100)


def test_deep_and_large_messages_are_compared_in_a_moment(page: Page, viewed: Viewed) -> None:
    deep = ['{"a":' * 9000 + text + "}" * 9000 for text in ("1", "2")]
    wide = [json.dumps([f"{prefix}{number}" for number in range(15_000)]) for prefix in ("a", "b")]
    texts = ["\n".join(f"{prefix}{number}" for number in range(20_000)) for prefix in ("a", "b")]
    seqs = viewed.store.add([raw_arrival(body) for body in (*deep, *wide, *texts)])
    for one, other in itertools.pairwise(seqs):
        page.goto(f"{viewed.url}/?m={one}&with={other}")
        expect(page.locator(".diff :is(del, ins)").first).to_be_visible(timeout=10_000)
    assert page.locator(".diff :is(del, ins)").count() <= 1000


def test_a_message_is_compared_with_its_conflict_or_one_from_the_list(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("one", id="same"), arrival("two", id="same"), arrival("other")])
    seqs = {message.preview: message.seq for message in viewed.store.find(limit=3)}
    first, conflict, other = seqs["one"], seqs["two"], seqs["other"]
    page.goto(f"{viewed.url}/?m={conflict}")
    menu = page.locator("#detail").get_by_text("compare", exact=True)
    menu.click()
    page.get_by_role("button", name=f"with the first with its id, message {first}").click()
    expect(page.locator(".diff ins")).to_contain_text(["two"])

    menu.click()
    page.get_by_role("button", name="with another message …").click()
    expect(page.locator(".selection")).to_contain_text("Select a message to compare with")
    box(page, "other").click()

    older, newer = sorted((other, conflict))
    expect(page).to_have_url(f"{viewed.url}/?m={newer}&with={older}")
    expect(page.locator(".selection")).to_have_count(0)
    page.goto(f"{viewed.url}/?m={other}&with=999999")
    expect(page.get_by_text("no message 999999 is stored")).to_be_visible()


def test_what_redact_masks_is_masked_in_what_differs(
    page: Page, start: Callable[..., Service], store: Store
) -> None:
    cards = [{"card": "4111-secret", "n": 1}, {"card": "5222-secret", "n": 2}]
    first, second = store.add([arrival(card, time=NOW, id="A") for card in cards])
    viewer = start("viewer", aws_environment(closed_port()), DATABASE_URL=store.url, REDACT="data.card")

    page.goto(f"{viewer.url}/?m={second}&with={first}")

    expect(page.locator(".diff")).to_be_visible()
    assert differences(page) == [("data.n", "1", "2")]
    assert "secret" not in page.content()

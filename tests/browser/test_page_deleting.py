"""Cleaning up from the page: one message, or all of a search, after a confirmation."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_page, shown
from tests.support.examples import arrival
from tests.support.services import Viewed


@pytest.fixture
def questions(page: Page) -> list[str]:
    """What the page asks, which is answered with yes."""
    asked: list[str] = []

    def accept(dialog: object) -> None:
        asked.append(dialog.message)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", accept)
    return asked


def test_one_message_is_deleted(page: Page, viewed: Viewed, questions: list[str]) -> None:
    viewed.store.add([arrival("stays"), arrival("goes")])
    open_page(page, viewed)
    page.get_by_role("link", name="goes").click()

    page.get_by_role("button", name="delete", exact=True).click()

    expect(page.locator("tr.message")).to_have_count(1)
    assert shown(page) == ["stays"]
    assert "cannot be undone" in questions[0]


def test_all_that_a_search_finds_is_deleted(page: Page, viewed: Viewed, questions: list[str]) -> None:
    viewed.store.add([arrival("red"), arrival("blue"), arrival("red")])
    page.goto(f"{viewed.url}/?q=red")
    expect(page.locator("#connection")).to_have_text("live")
    page.get_by_text("more", exact=True).click()

    page.get_by_role("button", name="delete what the search finds").click()

    expect(page.locator("tr.message")).to_have_count(0)
    assert questions == ["Delete the 2 messages that match red? This cannot be undone."]
    page.goto(viewed.url)
    expect(page.locator("tr.message")).to_have_count(1)

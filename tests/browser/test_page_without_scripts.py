"""The page without JavaScript: the list, the search, a whole message and the dead letters work."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.dead_letters import die
from tests.support.examples import arrival
from tests.support.services import Viewed


@pytest.fixture
def plain(browser: Browser) -> Iterator[Page]:
    """A page whose browser runs no scripts."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def test_the_list_is_searched_and_a_message_read_whole(plain: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("blue"), arrival({"text": "red", "n": 12345678901234567890})])
    plain.goto(viewed.url)
    expect(plain.locator("#connection")).to_be_hidden()
    expect(plain.get_by_text("reload this page to see new messages")).to_be_visible()

    plain.get_by_role("searchbox").fill("red")
    plain.get_by_role("searchbox").press("Enter")
    expect(plain.locator("tr.message")).to_have_count(1)
    plain.get_by_role("link", name="red").click()

    expect(plain.locator("#detail pre")).to_contain_text("12345678901234567890")
    expect(plain.get_by_role("searchbox")).to_have_value("red")
    plain.get_by_role("link", name="back to the list").click()
    expect(plain.locator("#detail")).to_be_hidden()
    expect(plain.locator("tr.message")).to_have_count(1)


def test_older_messages_are_a_page_away(plain: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival(f"message {number}") for number in range(40)])
    plain.goto(viewed.url)

    plain.get_by_role("link", name="Show older messages").click()

    expect(plain.locator("tr.message").first).to_contain_text("message 9")


def test_dead_letters_are_read(plain: Page, viewed: Viewed) -> None:
    die(viewed.store, "<b>poison</b>")
    plain.goto(viewed.url)

    plain.get_by_role("link", name="Dead letters").click()
    plain.locator("summary", has_text="<b>poison</b>").click()

    expect(plain.get_by_text("Traceback: …")).to_be_visible()
    expect(plain.locator("tr.message")).to_have_count(0)


def test_other_views_say_that_they_need_it(plain: Page, viewed: Viewed) -> None:
    plain.goto(f"{viewed.url}/?tab=metrics")

    expect(plain.get_by_text("This view needs JavaScript.")).to_be_visible()


def test_a_wrong_address_does_no_harm(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("hello")])
    page.goto(f"{viewed.url}/?m=../../evil&tab=unknown&before=x")

    expect(page.locator("tr.message")).to_have_count(1)
    expect(page.locator("#connection")).to_have_text("live")

"""Publishing from the page: the exact body, JSON that is checked, and the way to the message."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.emulators import Names
from tests.support.services import Service, Viewed

RAW = '{ "order": {"id": 12345678901234567890} }'


def test_a_body_is_published_exactly_and_its_toast_leads_to_it(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    page.goto(f"{viewer.url}/?tab=publish")
    expect(page.get_by_role("heading", name=f"Publish to {ministack.topic}")).to_be_visible()

    page.get_by_label("A text or a whole CloudEvent").fill(RAW)
    page.get_by_label("exactly as it is").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.locator("#toast").get_by_role("button", name="show").click()

    expect(page.locator("#detail h2")).to_have_text("order")
    page.get_by_role("tab", name="Raw").click()
    expect(page.locator("#detail pre").first).to_have_text(RAW)
    assert page.locator("#detail pre").first.inner_text() == RAW


def test_broken_json_is_said_where_it_is_broken(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/?tab=publish")
    text = page.get_by_label("A text or a whole CloudEvent")

    text.fill('{"order": {{n}},\n "id" 5}')
    expect(page.get_by_text("line 2 column")).to_be_visible()
    text.fill('{"order": {{n}}}')
    expect(page.get_by_text("Not JSON")).to_have_count(0)
    text.fill("a plain text {")
    expect(page.get_by_text("Not JSON")).to_have_count(0)

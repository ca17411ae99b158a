"""Signing in and out on the page."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from local.emulators import aws_environment
from tests.support.browser import open_page
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

TOKEN = "a token of some length"


@pytest.fixture
def guarded(start: Callable[..., Service], store: Store) -> Service:
    environment = {"DATABASE_URL": store.url, **aws_environment(closed_port())}
    return start("viewer", environment, VIEWER_TOKEN=TOKEN, READ_ONLY="1")


def sign_in(page: Page, viewer: Service, path: str = "") -> None:
    page.goto(f"{viewer.url}/{path}")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def test_a_reader_signs_in_to_what_they_asked_for_and_out_again(
    page: Page, guarded: Service, store: Store
) -> None:
    store.add([arrival("red"), arrival("blue")])

    sign_in(page, guarded, "?q=red")
    expect(page.locator("tr.message")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []


def test_a_page_whose_session_has_ended_leads_to_the_login(
    page: Page, guarded: Service, store: Store
) -> None:
    sign_in(page, guarded, "?tab=metrics")

    with store.connection() as connection:
        connection.execute("DELETE FROM sessions")

    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    sign_in_again = page.url
    assert "tab%3Dmetrics" in sign_in_again or "tab=metrics" in sign_in_again


def test_a_viewer_without_a_token_has_nothing_to_sign_out_of(
    page: Page, start: Callable[..., Service], store: Store
) -> None:
    open_page(page, start("viewer", {"DATABASE_URL": store.url, **aws_environment(closed_port())}))

    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_guarded_page_and_the_login_are_accessible_and_fit(
    page: Page, guarded: Service, store: Store, width: int
) -> None:
    store.add([arrival("hello")])
    page.set_viewport_size({"width": width, "height": 800})
    axe = Axe()

    page.goto(guarded.url)
    assert axe.run(page).response["violations"] == []
    sign_in(page, guarded)
    wait_for(lambda: not axe.run(page).response["violations"], 10, "an accessible page")

    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_text("READ_ONLY is set")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width

"""The page for those who use keys, or cannot see: axe finds nothing, in both themes; focus never jumps."""

import json
import re
import time
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import open_page, shown
from tests.support.dead_letters import die
from tests.support.examples import arrival
from tests.support.services import Service, Viewed
from tests.support.stores import Store

VIEWS = {
    "list": "/",
    "timeline": "/?pane=timeline",
    "attributes": "/?pane=attributes",
    "destinations": "/?pane=destinations",
    "nothing found": "/?q=nothing",
    "wrong search": "/?q=larger:big",
    "topics": "/?tab=topics",
    "dead letters": "/?tab=dead",
    "queues": "/?tab=queues",
    "a queue": "/?tab=queues&queue=missing",
    "metrics": "/?tab=metrics",
    "publish": "/?tab=publish",
    "replay": "/?tab=replay",
    "docs": "/docs",
}


def lasting_violations(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds even when all parts of the page have had the time to arrive."""
    deadline = time.monotonic() + 10
    while True:
        violations = Axe().run(page).response["violations"]
        if not violations or time.monotonic() > deadline:
            return [(one["id"], one["nodes"][0]["html"][:200]) for one in violations]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_nothing(browser: Browser, viewed: Viewed, scheme: str, width: int) -> None:
    viewed.store.add([arrival({"text": f"message {number}", "n": number}) for number in range(3)])
    die(viewed.store, "poison")
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        bypass_csp=True,  # axe comes as a script of its own
    )
    page = context.new_page()
    found = {}
    for name, path in VIEWS.items():
        page.goto(viewed.url + path)
        if path == "/docs":
            expect(page.locator(".opblock").first).to_be_visible()
        else:
            expect(page.locator("#flow li").first).to_be_attached()
            expect(page.locator("#connection")).to_have_attribute("data-state", re.compile("live|idle"))
        if violations := lasting_violations(page):
            found[name] = violations
    newest = viewed.store.newest()
    page.goto(f"{viewed.url}/?m={newest}&with={newest - 1}")
    expect(page.locator(".diff ins").first).to_be_visible()
    found |= {"comparison": lasting_violations(page)}
    page.goto(viewed.url)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(".selection")).to_contain_text("1 selected")
    found |= {"selection": lasting_violations(page)}
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    found |= {"help": lasting_violations(page)}
    context.close()

    assert not any(found.values()), json.dumps(found, indent=1)


def test_the_page_is_used_with_keys_alone(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("first"), arrival("second"), arrival("third")])
    open_page(page, viewed)
    title = page.locator("#detail h2")

    page.keyboard.press("j")
    expect(title).to_have_text("third")
    page.keyboard.press("j")
    expect(title).to_have_text("second")
    page.keyboard.press("k")
    expect(title).to_have_text("third")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    expect(page.locator("tr.message")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Metrics")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Publish")).to_be_visible()
    page.keyboard.type("?jk")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("turn them off").check()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page.get_by_role("heading", name="Publish")).to_be_visible()


def test_a_new_message_moves_neither_focus_nor_choice(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("first"), arrival("second")])
    open_page(page, viewed)
    page.keyboard.press("j")
    page.keyboard.press("j")

    viewed.store.add([arrival("third")])
    expect(page.locator("#news")).to_have_text("▲ 1 new")

    assert page.evaluate("document.activeElement.innerText") == "first"
    expect(page.locator("tr.message [aria-current]")).to_have_text("first")
    expect(page.locator("#detail h2")).to_have_text("first")
    page.locator("#news").click()
    expect(page.locator("tr.message")).to_have_count(3)
    expect(page.locator("tr.message [aria-current]")).to_have_text("first")


def test_a_dead_letter_is_shown_with_its_reason(page: Page, viewed: Viewed) -> None:
    die(viewed.store, "<b>poison</b>")
    page.goto(f"{viewed.url}/?tab=dead")

    expect(page.get_by_role("heading", name="KeyError · fanout.text 1")).to_be_visible()
    page.locator("summary", has_text="<b>poison</b>").click()
    expect(page.get_by_text("Traceback: …")).to_be_visible()
    page.get_by_role("checkbox", name="select").check()
    expect(page.get_by_role("button", name="Redrive 1")).to_be_enabled()


def test_a_viewer_that_only_reads_offers_nothing_to_write(
    page: Page, start: Callable[..., Service], database_url: str, store: Store
) -> None:
    die(store, "poison")
    viewer = start("viewer", {"DATABASE_URL": database_url, "READ_ONLY": "1", "AWS_REGION": "us-east-1"})
    open_page(page, viewer)

    expect(page.get_by_role("link", name="Publish")).to_have_count(0)
    expect(page.locator("#detail").get_by_text("resend")).to_have_count(0)
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Waiting for the first message")).to_be_visible()
    expect(page.get_by_role("button", name="Publish")).to_have_count(0)
    page.get_by_role("link", name="Dead letters").click()
    page.locator("summary", has_text="poison").click()
    expect(page.locator(".whole")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Redrive|resend"))).to_have_count(0)
    expect(page.locator("#view").get_by_role("checkbox")).to_have_count(0)


def test_a_reader_without_the_token_is_asked_for_it(
    page: Page, start: Callable[..., Service], database_url: str
) -> None:
    viewer = start(
        "viewer",
        {"DATABASE_URL": database_url, "VIEWER_TOKEN": "open-sesame-open", "AWS_REGION": "us-east-1"},
        PATH_PREFIX="/tools/fanout",
    )
    page.goto(f"{viewer.url}/tools/fanout/?q=hello")
    page.get_by_label("Token").fill("open-sesame-open")
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.get_by_role("searchbox")).to_have_value("hello")
    assert shown(page) == []

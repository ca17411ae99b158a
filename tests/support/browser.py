"""Chromium, and what every test of the page does with it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.support.interfaces import Interfaces
from tests.support.services import Service, Viewed

# The first that is installed. The shell is the same without windows, which nobody sees here: half the work.
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def start_chromium(playwright: Playwright) -> Browser:
    """Start Chromium: the system's where there is one, else Playwright's own."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    flags = [
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's sandbox refuses root
    ]
    return playwright.chromium.launch(executable_path=path, args=flags)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, for `browser`."""
    with sync_playwright() as playwright:
        try:
            browser = start_chromium(playwright)
        except PlaywrightError as error:
            pytest.skip(f"no Chromium starts here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium: Browser, interfaces: Interfaces) -> Iterator[Browser]:
    """Chromium, while no container starts or ends."""
    with interfaces.unchanged():
        yield chromium


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh browser profile; an error in its script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    # Only what fails waits for so long, and a busy machine is slow at times.
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Shown beside a test that fails.
    page.on("requestfailed", lambda request: print("not loaded:", request.url, request.failure))
    page.on("console", lambda message: print("console:", message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert errors == []


def open_page(page: Page, viewer: Service | Viewed) -> None:
    page.goto(viewer.url)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def shown(page: Page) -> list[str]:
    return page.locator("tr.message td.text").all_inner_texts()

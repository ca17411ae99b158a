"""The view Replay: what a search finds, or a file holds, is published again, watched and cancelled."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from pipeline.store.replays import Replays, Wanted
from tests.support.browser import open_page
from tests.support.emulators import Names
from tests.support.endpoints import create_queue
from tests.support.examples import arrival
from tests.support.replays import texts_in
from tests.support.services import Service
from tests.support.stores import Store


@pytest.fixture
def sink(ministack: Names) -> str:
    name = f"sink-{uuid.uuid4().hex}.fifo"
    assert ministack
    create_queue(name)
    return name


@pytest.fixture
def viewer(
    ministack: Names, start: Callable[..., Service], database_url: str, store: Store, sink: str
) -> Service:
    assert sink
    store.add([arrival(n, type=f"kind.{n % 2}") for n in range(40)])
    return start("viewer", {**ministack.environment, "DATABASE_URL": database_url})


def choose_queue(page: Page, queue: str) -> None:
    page.get_by_label("To", exact=True).select_option("the queue")
    page.get_by_label("name of the queue").fill(queue)


def test_what_the_search_finds_is_replayed(page: Page, viewer: Service, sink: str) -> None:
    open_page(page, viewer)
    page.locator("#q").fill("type:kind.1")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_contain_text("20")
    page.locator("#more summary").click()
    page.get_by_role("link", name="replay what the search finds").click()
    expect(page.get_by_role("heading", name="Replay", exact=True)).to_be_visible()
    expect(page.get_by_label("search", exact=True)).to_have_value("type:kind.1")
    expect(page.get_by_text("20 messages")).to_be_visible()

    choose_queue(page, sink)
    page.get_by_label("messages per second").fill("100")
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.once("dialog", accept)
    page.get_by_role("button", name="Replay", exact=True).click()

    expect(page.locator(".replay-card")).to_contain_text("Completed: 20 of 20 sent.")
    assert asked == [f"Publish what type:kind.1 finds again, to {sink}?"]
    assert texts_in(sink) == list(range(1, 40, 2))


def test_a_replay_goes_on_without_its_page_and_is_cancelled(page: Page, viewer: Service, sink: str) -> None:
    page.goto(f"{viewer.url}/?tab=replay")
    choose_queue(page, sink)
    page.get_by_label("messages per second").fill("5")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()

    page.goto("about:blank")
    page.goto(f"{viewer.url}/?tab=replay")

    expect(page.locator(".replay-card")).to_contain_text("of 40 sent")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".replay-card")).to_contain_text("Cancelled:")


def test_an_exported_file_is_replayed_and_what_is_left_out_is_said(
    page: Page, viewer: Service, sink: str, tmp_path: Path
) -> None:
    lines = viewer.get("/api/messages.ndjson").text.splitlines()[:3]
    masked = {**json.loads(lines[0]), "body": '{"card": "•••"}', "size": 20}
    file = tmp_path / "messages.ndjson"
    file.write_text("\n".join([*lines, json.dumps(masked)]))
    page.goto(f"{viewer.url}/?tab=replay")
    page.get_by_role("combobox", name="Messages").select_option("of an exported file")
    page.get_by_label("exported file").set_input_files(file)
    choose_queue(page, sink)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Replay", exact=True).click()

    card = page.locator(".replay-card")
    expect(card).to_contain_text("An exported file")
    expect(card).to_contain_text("Completed: 3 of 4 sent · 1 skipped.")
    expect(card.locator("li")).to_contain_text("which stands for a masked value")
    assert texts_in(sink) == [0, 1, 2]


def test_what_is_refused_is_said(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=replay&q=no-such-word")
    expect(page.get_by_text("0 messages")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Replay", exact=True).click()

    expect(page.locator("#toast")).to_contain_text("Not replayed: the search finds no messages")


def test_a_read_only_page_only_shows_replays(
    page: Page, start: Callable[..., Service], database_url: str, store: Store, ministack: Names
) -> None:
    Replays(store.database).begin(Wanted(20, "type:kind.0", None, "sink", 5, None))
    environment = {**ministack.environment, "DATABASE_URL": database_url, "READ_ONLY": "1"}
    viewer = start("viewer", environment)

    page.goto(f"{viewer.url}/?tab=replay")

    expect(page.locator(".replay-card")).to_contain_text("0 of 20 sent")
    for name in ("Replay", "Cancel"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)

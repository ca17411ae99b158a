"""The page, in a real browser, as its readers meet it."""

from collections.abc import Callable
from pathlib import Path

import boto3
from playwright.sync_api import Page, expect

from local.emulators import aws_environment
from pipeline.store import Store
from tests.conftest import Names, Service, Viewed, free_port
from tests.examples import arrival

StartService = Callable[..., Service]


def open_page(page: Page, viewer: Service | Viewed) -> None:
    page.goto(viewer.url)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def shown(page: Page) -> list[str]:
    return page.locator("tr.message td.text").all_inner_texts()


def test_a_message_published_to_the_topic_appears_within_a_second(
    page: Page, ministack: Names, start: StartService, database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    open_page(page, viewer)
    expect(page.locator("#empty")).to_be_visible()
    sns = boto3.client("sns")
    arn = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if t["TopicArn"].endswith(ministack.topic))

    sns.publish(TopicArn=arn, Message="Hello from boto3")

    expect(page.locator("tr.message td.text")).to_have_text("Hello from boto3", timeout=1000)
    expect(page.locator("#empty")).to_be_hidden()


def test_what_is_sent_from_the_page_comes_back_to_it(
    page: Page, ministack: Names, start: StartService, database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    open_page(page, viewer)

    page.get_by_label("Text to send").fill("Hello from the page")
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("tr.message td.text")).to_have_text("Hello from the page")


def test_an_empty_store_says_what_is_awaited_and_how_to_send(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)

    expect(page.locator("#empty")).to_contain_text("broadcasts")
    expect(page.locator("#empty code")).to_contain_text("sns publish")


def test_the_time_between_messages_survives_a_reload(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("one"), arrival("two")])
    open_page(page, viewed)
    viewed.store.add([arrival("three")])
    expect(page.locator("tr.message")).to_have_count(3)
    gaps = page.locator("tr.message td.gap").all_inner_texts()

    page.reload()

    assert page.locator("tr.message td.gap").all_inner_texts() == gaps
    assert gaps[0].startswith("+")


HOSTILE = '<script>document.title="run"</script><img src=x onerror="document.title=\'run\'">'


def test_markup_in_a_message_is_shown_and_not_run(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival(HOSTILE, type=HOSTILE, source=HOSTILE)])
    open_page(page, viewed)
    viewed.store.add([arrival(HOSTILE, type=HOSTILE, source=HOSTILE)])
    expect(page.locator("tr.message")).to_have_count(2)

    assert shown(page) == [HOSTILE, HOSTILE]
    assert page.locator("tr.message script, tr.message img").count() == 0
    assert "run" not in page.title()


def test_the_stream_resumes_after_the_viewer_restarts(
    page: Page, start: StartService, store: Store, database_url: str
) -> None:
    environment = {"DATABASE_URL": database_url, **aws_environment(free_port())}
    viewer = start("viewer", environment)
    open_page(page, viewer)
    store.add([arrival("before")])
    expect(page.locator("tr.message")).to_have_count(1)

    viewer.process.ask_to_stop()
    viewer.process.wait(5)
    expect(page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    store.add([arrival("while away 1"), arrival("while away 2")])
    start("viewer", environment, port=viewer.port)
    store.add([arrival("after")])

    expect(page.locator("tr.message")).to_have_count(4, timeout=10_000)
    assert shown(page) == ["after", "while away 2", "while away 1", "before"]


def test_the_page_tells_that_the_database_is_away_and_comes_back_by_itself(
    page: Page, start: StartService, database_url: str, tmp_path: Path
) -> None:
    # A pooler or a server that is not up yet looks the same from here: nothing listens at the address.
    away = f"postgresql://postgres@/none?host={tmp_path}"
    viewer = start("viewer", {"DATABASE_URL": away, **aws_environment(free_port())}, wait=False)
    viewer.process.wait_until(viewer.answers, 30)
    page.goto(viewer.url, timeout=20_000)
    expect(page.get_by_role("heading", name="The database does not answer")).to_be_visible()

    viewer.process.ask_to_stop()
    viewer.process.wait(5)
    start("viewer", {"DATABASE_URL": database_url, **aws_environment(free_port())}, port=viewer.port)

    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=20_000)


def test_a_phone_scrolls_in_one_direction_only(page: Page, viewed: Viewed) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    viewed.store.add([arrival("word " * 100), arrival("x" * 1000, source="/s" * 200, type="t" * 300)])
    open_page(page, viewed)

    assert page.evaluate("document.documentElement.scrollWidth") == 360

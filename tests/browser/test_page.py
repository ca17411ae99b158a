"""The page, in a real browser, as its readers meet it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Response, Route, expect

from local.emulators import aws_environment
from pipeline.aws import Topic, sns_client
from pipeline.message import Delivery
from pipeline.store.failures import FailedTry
from tests.support.browser import open_page, shown
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.ports import closed_port
from tests.support.services import Service, Viewed
from tests.support.stores import QUEUE, FailureRecords, Store

StartService = Callable[..., Service]


def test_a_message_published_to_the_topic_appears_by_itself(
    page: Page, ministack: Names, start: StartService, database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    open_page(page, viewer)
    expect(page.locator("#empty")).to_be_visible()
    sns = sns_client()
    arn = Topic(sns, ministack.topic).arn

    sns.publish(TopicArn=arn, Message="Hello from boto3")

    expect(page.locator("tr.message td.text")).to_have_text("Hello from boto3")
    expect(page.locator("#empty")).to_be_hidden()


def test_what_is_sent_from_the_page_comes_back_to_it(
    page: Page, ministack: Names, start: StartService, database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    open_page(page, viewer)

    page.get_by_role("link", name="Publish").click()
    page.get_by_label("A text or a whole CloudEvent").fill("Hello {{n}}")
    page.get_by_label("Copies").fill("3")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#toast")).to_have_text("3 published show")
    page.get_by_role("link", name="Messages").click()

    expect(page.locator("tr.message")).to_have_count(3)
    assert sorted(shown(page)) == ["Hello 1", "Hello 2", "Hello 3"]


def test_the_whole_page_is_sent_in_sixty_kilobytes(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"order": 1})])
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/api/" not in answer.url else None)
    open_page(page, viewed)
    expect(page.locator("#detail .json")).to_be_visible()

    first = {
        answer.url.removeprefix(viewed.url).removeprefix("/static/"): size(answer)
        for answer in answers
        if answer.header_value("Content-Encoding") == "gzip"
    }
    preloaded = set(re.findall(r'/static/([^"]+\.(?:js|css))"', requests.get(viewed.url, timeout=10).text))
    assert preloaded <= set(first) | {"early_theme.js"}
    assert all(
        path.startswith(("/", "icon", "views/", "panes/", "live/", "core/", "vendor/"))
        for path in set(first) - preloaded
    )
    assert sum(size for path, size in first.items() if path in preloaded | {"/"}) <= 60_000


def size(answer: Response) -> int:
    """Return how many bytes were sent."""
    return int(answer.header_value("Content-Length") or 0)


def test_an_empty_store_says_what_is_awaited_and_how_to_send(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)

    expect(page.locator("#empty")).to_contain_text("broadcasts")
    expect(page.locator("#empty code")).to_contain_text("sns publish")


def test_the_strip_says_what_is_unknown_while_aws_is_away(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)

    stage = page.locator('#flow li[data-name="broadcasts"]')
    expect(stage).to_have_attribute("data-state", "unknown")
    expect(stage).to_have_attribute("title", re.compile("Could not connect"))
    expect(page.locator("#broken")).to_contain_text("broadcasts: Could not connect")


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
    environment = {"DATABASE_URL": database_url, **aws_environment(closed_port())}
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
    viewer = start("viewer", {"DATABASE_URL": away, **aws_environment(closed_port())}, wait=False)
    viewer.process.wait_until(viewer.answers, 30)
    page.goto(viewer.url, timeout=20_000)
    expect(page.get_by_role("heading", name="The database does not answer")).to_be_visible()
    page.reload(timeout=2000)  # what is known by now need not be found out again
    expect(page.get_by_role("heading", name="The database does not answer")).to_be_visible()

    viewer.process.ask_to_stop()
    viewer.process.wait(5)
    start("viewer", {"DATABASE_URL": database_url, **aws_environment(closed_port())}, port=viewer.port)

    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=20_000)


def test_a_phone_scrolls_in_one_direction_only(page: Page, viewed: Viewed) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    viewed.store.add([arrival("word " * 100), arrival("x" * 1000, source="/s" * 200, type="t" * 300)])
    open_page(page, viewed)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("tr.message").first.click()
    expect(page.locator("#detail .content")).to_contain_text("xxx")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="back to the list").click()
    expect(page.locator("#detail")).to_be_hidden()


# ---- one message


def test_a_message_is_shown_as_published_with_long_integers_and_the_order_of_its_keys(
    page: Page, viewed: Viewed
) -> None:
    body = (
        '{"zebra": 12345678901234567890, "apple": 1.50, "same": 1, "same": 2, "link": "https://example.com/"}'
    )
    viewed.store.add([raw_arrival(body)])
    open_page(page, viewed)

    content = page.locator("#detail .content")
    expect(content).to_contain_text("zebra: 12345678901234567890")
    assert content.locator(".key").all_inner_texts() == ["zebra", "apple", "same", "same", "link"]
    assert content.locator(".scalar").all_inner_texts() == ["12345678901234567890", "1.50", "1", "2"]
    expect(content.locator("a")).to_have_attribute("rel", "noreferrer")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (HOSTILE, HOSTILE),
        (json.dumps({"text": HOSTILE}), HOSTILE),
        ('{"deep":' * 10_000 + "1" + "}" * 10_000, "deep"),
        ("[" * 10_000 + "]" * 10_000, "["),
        (json.dumps({"text": "x" * 1024 * 1024}), "1.0 MiB"),
        (json.dumps([{"n": number} for number in range(30_000)]), "show all"),
        ('{"half": "\\ud800", "nul": "\\u0000"}', "half"),
        ("\x1b[31mred \u202e right to left", "[31mred"),
        ('{"cut": ', '{"cut":'),
    ],
    ids=["markup", "JSON", "deep", "deep list", "1 MiB", "long list", "escapes", "terminal", "cut off"],
)
def test_hostile_content_is_shown_harmlessly(page: Page, viewed: Viewed, body: str, expected: str) -> None:
    viewed.store.add([raw_arrival(body)])
    open_page(page, viewed)

    for pane in ("Data", "Attributes", "Timeline", "Raw"):
        page.get_by_role("tab", name=pane).click()
        expect(page.locator("#detail .content")).not_to_be_empty()
    page.get_by_role("tab", name="Data").click()

    expect(page.locator("#detail .content")).to_contain_text(expected)
    assert "run" not in page.title()
    assert page.locator("#detail script, #detail img").count() == 0


def test_the_address_holds_what_is_shown_and_back_works(page: Page, viewed: Viewed) -> None:
    first, second = viewed.store.add([arrival("first"), arrival("second")])
    open_page(page, viewed)
    title = page.locator("#detail h2")
    expect(title).to_have_text("second")

    page.get_by_text("first", exact=True).click()
    expect(title).to_have_text("first")
    page.get_by_role("tab", name="Raw").click()
    expect(page).to_have_url(f"{viewed.url}/?m={first}&pane=raw")
    page.reload()
    expect(title).to_have_text("first")
    expect(page.get_by_role("tab", name="Raw")).to_have_attribute("aria-selected", "true")
    page.get_by_text("second", exact=True).click()
    expect(page).to_have_url(f"{viewed.url}/?m={second}&pane=raw")
    page.go_back()
    expect(title).to_have_text("first")
    page.go_back()
    expect(page.get_by_role("tab", name="Data")).to_have_attribute("aria-selected", "true")


# ---- search


def test_a_search_filters_what_is_stored_and_what_arrives(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("red one"), arrival("blue one")])
    open_page(page, viewed)

    page.get_by_role("searchbox").fill("red")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tr.message")).to_have_count(1)
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    viewed.store.add([arrival("blue two"), arrival("red two")])
    expect(page.locator("tr.message")).to_have_count(2)

    assert shown(page) == ["red two", "red one"]
    page.reload()
    assert shown(page) == ["red two", "red one"]
    page.go_back()
    expect(page.locator("tr.message")).to_have_count(4)


def test_a_wrong_search_says_what_is_wrong(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    page.get_by_role("searchbox").fill("larger:big")
    page.get_by_role("searchbox").press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("should be a size")


def test_values_are_chosen_and_excluded_by_their_counts(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("a", type="x"), arrival("b", type="x"), arrival("c", type="y")])
    open_page(page, viewed)

    page.get_by_text("type", exact=True).click()
    page.get_by_role("button", name="x 2").click()
    expect(page.locator("tr.message")).to_have_count(2)
    page.get_by_role("searchbox").fill("")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("tr.message")).to_have_count(3)
    page.get_by_text("type", exact=True).click()
    page.get_by_role("button", name="exclude x").click()

    expect(page.get_by_role("searchbox")).to_have_value("-type:x")
    expect(page.locator("tr.message")).to_have_count(1)


# ---- live


def scroll_to(page: Page, oldest: str) -> None:
    """Scroll down, page after page, until this message is the last one."""
    while shown(page)[-1] != oldest:
        count = page.locator("tr.message").count()
        page.locator("#older").scroll_into_view_if_needed()
        expect(page.locator("tr.message")).not_to_have_count(count)


def test_a_paused_list_stays_as_it_is_and_loses_nothing(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("before")])
    open_page(page, viewed)
    page.get_by_role("button", name="pause").click()

    viewed.store.add([arrival(f"while paused {number}") for number in range(250)])
    expect(page.locator("#news")).to_have_text("▲ 250 new (paused)")
    assert shown(page) == ["before"]
    page.locator("#news").click()

    expect(page.locator("tr.message").first).to_contain_text("while paused 249")
    scroll_to(page, "before")
    assert shown(page) == [f"while paused {number}" for number in reversed(range(250))] + ["before"]


def test_older_messages_come_as_the_reader_scrolls(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival(f"message {number}") for number in range(100)])
    open_page(page, viewed)

    scroll_to(page, "message 0")
    viewed.store.add([arrival("meanwhile")])

    expect(page.locator("#news")).to_have_text("▲ 1 new")
    assert shown(page) == [f"message {number}" for number in reversed(range(100))]


def test_tabs_of_one_browser_share_one_stream(page: Page, viewed: Viewed) -> None:
    streams: list[str] = []
    page.context.on("request", lambda r: streams.append(r.url) if "/api/stream" in r.url else None)
    open_page(page, viewed)
    viewed.store.add([arrival("one")])
    others = [page.context.new_page() for _ in range(7)]
    for other in others:
        open_page(other, viewed)

    viewed.store.add([arrival("two")])
    for other in [page, *others]:
        expect(other.locator("tr.message")).to_have_count(2)
    assert len(streams) == 1
    page.close()  # another tab takes over where this one stood
    viewed.store.add([arrival("three")])

    for other in others:
        expect(other.locator("tr.message")).to_have_count(3)
        assert shown(other) == ["three", "two", "one"]
    assert len(streams) == 2


def test_a_proxy_that_holds_the_stream_back_is_worked_around(page: Page, viewed: Viewed) -> None:
    page.route("**/api/stream*", lambda _: None)  # never answered
    page.goto(viewed.url)
    viewed.store.add([arrival("through the proxy")])

    expect(page.locator("tr.message")).to_have_count(1, timeout=10_000)
    expect(page.locator("#connection")).to_have_attribute("title", re.compile("long polling"))


def test_a_stream_that_the_viewer_ended_is_not_opened_again_and_the_page_says_why(
    page: Page, viewed: Viewed
) -> None:
    problem = '{"title":"Service Unavailable","status":503,"detail":"this search costs too much"}'
    events = f'event: ready\ndata: {{"after":0}}\n\nevent: error\ndata: {problem}\n\n'
    streams: list[str] = []

    def end(route: Route) -> None:
        streams.append(route.request.url)
        route.fulfill(content_type="text/event-stream", body=f"retry: 10\n{events}")

    page.route("**/api/stream*", end)
    page.goto(f"{viewed.url}/?q=expensive")

    expect(page.locator("#search-problem")).to_have_text("this search costs too much")
    expect(page.locator("#connection")).to_have_text("stopped")
    page.wait_for_timeout(500)  # fifty times what a browser waits before it connects again
    assert len(streams) == 1


# ---- what becomes of messages

TIMES = "\N{MULTIPLICATION SIGN}"


def arrived_again(delivery: Delivery, message_id: str) -> Delivery:
    now = datetime.now(UTC)
    return replace(delivery, message_id=message_id, sent_at=now, received_at=now)


def test_the_list_keeps_up_with_what_becomes_of_messages(page: Page, viewed: Viewed) -> None:
    poison = arrival("poison")
    log = FailureRecords(viewed.store)
    viewed.store.add([poison, arrival("fine")])
    open_page(page, viewed)
    labels = page.locator("tr.message .status:not(:empty)")
    expect(labels).to_have_count(0)

    log.record([FailedTry(poison, "KeyError", "'sku'", "Traceback: …", last=False)])
    expect(labels).to_have_text(["✖ failed"])
    log.record([FailedTry(replace(poison, receive_count=2), "KeyError", "'sku'", "Traceback: …", last=True)])
    expect(labels).to_have_text(["✖ dead"])
    expect(page.locator("tr.message .tries:not(:empty)")).to_have_text([f"{TIMES}2"])
    assert shown(page) == ["fine", "✖ dead\npoison"]

    page.get_by_text("status", exact=True).click()
    page.get_by_role("button", name="dead 1", exact=True).click()
    expect(page.locator("tr.message")).to_have_count(1)
    log.mark_redriven(QUEUE, None, datetime.now(UTC))
    expect(page.locator("tr.message")).to_have_count(0)


def test_the_timeline_shows_each_try_and_how_it_ended(page: Page, viewed: Viewed) -> None:
    first = arrival("poison")
    log = FailureRecords(viewed.store)
    viewed.store.add([first])
    log.record([FailedTry(first, "KeyError", "'sku'", "Traceback: …", last=False)])
    second = replace(first, receive_count=2, received_at=datetime.now(UTC))
    log.record([FailedTry(second, "ValueError", HOSTILE, "Traceback: …", last=True)])
    log.mark_redriven(QUEUE, None, datetime.now(UTC))
    third = arrived_again(first, "redriven")
    viewed.store.add([third])
    log.resolve([third])
    viewed.store.add([arrived_again(first, "duplicate")])
    page.goto(f"{viewed.url}/?pane=timeline")

    steps = page.locator("#detail .steps li")
    expect(steps.locator("b")).to_have_text(
        [
            *(
                "published",
                "on the queue",
                "received",
                "stored",
                "failed",
                "received, try 2",
                "failed",
                "dead",
            ),
            *("sent back", "on the queue", "received", "succeeded", "on the queue", "received"),
        ]
    )
    expect(steps.locator("small").nth(6)).to_have_text(f"ValueError: {HOSTILE}")
    expect(steps.last.locator("small")).to_have_text("duplicate, ignored")


def test_a_conflict_is_marked_and_leads_to_the_first_message_and_back(page: Page, viewed: Viewed) -> None:
    first, second = arrival("genuine", id="A-1"), arrival("forged", id="A-1")
    viewed.store.add([first])
    open_page(page, viewed)
    expect(page.locator("tr.message")).to_have_count(1)
    viewed.store.add([second])  # one row is drawn by the server, the other by the page

    rows = page.locator("tr.message")
    expect(rows.locator(".conflict")).to_have_text(["≠ conflict", ""])
    rows.first.click()
    links = page.locator("#detail .facts .conflict")
    expect(links).to_have_text(f"≠ Same source and id as message {rows.last.get_attribute('data-seq')}")
    links.get_by_role("link").click()
    expect(page.locator("#detail h2")).to_have_text("genuine")
    expect(links).to_contain_text("≠ In conflict: message")
    page.reload()
    expect(rows.locator(".conflict")).to_have_text(["≠ conflict", ""])

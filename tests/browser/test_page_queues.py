"""The view Queues: all of the endpoint, and what is in one of them."""

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from pipeline.endpoint import in_parallel
from tests.support.endpoints import client, create_queue, create_topic, subscribe
from tests.support.services import Service
from tests.support.waiting import wait_for


@pytest.fixture(autouse=True)
def queues(open_account: Callable[[str], dict[str, str]]) -> None:
    """Three queues, in an account of their own: one has a topic, one its dead letters."""
    open_account("ministack")
    topic = create_topic("orders")
    billing = create_queue("billing", create_queue("billing-dlq"))
    subscribe(topic, billing)
    subscribe(topic, "arn:aws:sqs:us-east-1:111111111111:theirs")
    create_queue("alone")


@pytest.fixture
def viewer(start: Callable[..., Service], database_url: str) -> Service:
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return start("viewer", {**aws, "DATABASE_URL": database_url, "TOPIC_NAME": "orders"})


def send(queue: str, text: str) -> None:
    client("sqs").send_message(QueueUrl=url_of(queue), MessageBody=text)


def url_of(queue: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def row(page: Page, name: str) -> Any:
    return page.locator(".queues tbody tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def test_all_queues_are_listed_with_what_leads_to_them_and_what_they_hold(
    page: Page, viewer: Service
) -> None:
    send("alone", "x")
    page.goto(f"{viewer.url}/?tab=queues")
    expect(page.locator(".queues tbody th")).to_have_text(["alone", "billing", "billing-dlq", "theirs"])

    expect(row(page, "alone").locator('[data-label="waiting"]')).to_have_text("1")
    expect(row(page, "alone").locator('[data-label="oldest"]')).to_have_text(re.compile(r"\d+ s"))
    expect(row(page, "theirs")).to_contain_text("another account or region")
    expect(row(page, "theirs").get_by_role("link", name="theirs")).to_have_count(0)
    expect(row(page, "billing-dlq")).to_contain_text("dead letters of billing")
    row(page, "billing").get_by_role("link", name="orders").click()
    expect(page).to_have_url(f"{viewer.url}/?tab=topics&names=orders")
    page.go_back()
    page.get_by_label("Order").select_option("most messages first")
    expect(page.locator(".queues tbody th").first).to_have_text("alone")
    page.get_by_label("Show").fill("DLQ")
    expect(page.locator(".queues tbody tr")).to_have_count(1)
    expect(page).to_have_url(f"{viewer.url}/?tab=queues&names=DLQ&sort=depth")


def test_a_queue_is_looked_into_whole_and_purged_by_its_name(page: Page, viewer: Service) -> None:
    send("billing", "x" * 500 + " the end")
    page.goto(f"{viewer.url}/?tab=queues")
    row(page, "billing").get_by_role("rowheader").get_by_role("link").click()
    expect(page.locator(".about")).to_contain_text("orders")
    expect(page.locator(".about")).to_contain_text("billing-dlq, after 3 deliveries")
    page.locator(".card summary").click()
    expect(page.locator(".card .whole")).to_contain_text("the end")
    page.get_by_text("Purge this queue").click()

    page.get_by_label("Type its name to confirm").fill("wrong")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("#toast")).to_contain_text("wrong is not billing")
    page.get_by_label("Type its name to confirm").fill("billing")
    page.get_by_role("button", name="Purge").click()

    expect(page.get_by_text("The queue is empty.")).to_be_visible()
    wait_for(lambda: "Messages" not in client("sqs").receive_message(QueueUrl=url_of("billing")))
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


def test_an_address_of_the_view_waiting_leads_to_its_queue(page: Page, viewer: Service) -> None:
    send("alone", "theirs")
    page.goto(f"{viewer.url}/?tab=waiting&queue=alone")

    expect(page.get_by_role("heading", name="alone")).to_be_visible()
    expect(page.locator(".card")).to_contain_text("theirs")
    expect(page.locator('#tabs [aria-current="page"]')).to_have_text("Queues")
    page.get_by_role("link", name="All queues").click()
    expect(page.locator(".queues tbody tr")).to_have_count(4)
    page.go_back()
    expect(page.locator(".card")).to_contain_text("theirs")


def test_a_queue_that_is_not_listed_can_be_looked_into_by_its_name(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=queues")

    page.get_by_label("Show").fill("no-such-queue")
    page.get_by_role("link", name="no-such-queue").click()

    expect(page.get_by_text("there is no queue no-such-queue")).to_be_visible()
    expect(page.get_by_text("Purge this queue")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_three_hundred_queues_and_their_topics_fit_and_axe_finds_nothing(
    browser: Browser, viewer: Service, scheme: str, width: int
) -> None:
    arns = in_parallel(create_queue, [f"queue-{number:03}" for number in range(300)])
    subscribe(create_topic("many"), arns[0], FilterPolicy={"region": ["eu"]})
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,  # axe comes as a script of its own
    )
    page = context.new_page()
    page.goto(f"{viewer.url}/?tab=queues")
    expect(page.locator(".queues tbody tr")).to_have_count(304, timeout=30_000)

    for address, place in (("", ".queues"), ("&queue=billing", ".about"), ("&tab=topics", ".topics > li")):
        if address:
            page.goto(f"{viewer.url}/?tab=queues{address}".replace("tab=queues&tab", "tab"))
        expect(page.locator(place).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert Axe().run(page).response["violations"] == []
    context.close()

"""The view Queues: the dead letters of any queue are sent back from there."""

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.endpoints import client, create_queue
from tests.support.services import Service


@pytest.fixture
def viewer(
    open_account: Callable[[str], dict[str, str]], start: Callable[..., Service], database_url: str
) -> Service:
    open_account("ministack")
    create_queue("orders", create_queue("orders-dlq"))
    url = client("sqs").get_queue_url(QueueName="orders-dlq")["QueueUrl"]
    for number in range(3):
        client("sqs").send_message(QueueUrl=url, MessageBody=f"order {number}")
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return start("viewer", {**aws, "DATABASE_URL": database_url})


def test_dead_letters_are_sent_back_once_their_queue_is_typed(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=queues&queue=orders-dlq")
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_text("Redrive these dead letters").click()
    expect(page.get_by_label("Send all of them to")).to_have_attribute("placeholder", "orders")

    name = page.get_by_label("Type the name of the dead-letter queue")
    name.fill("orders")
    page.get_by_role("button", name="Redrive", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Not redriven: orders is not orders-dlq")
    name.fill("orders-dlq")
    page.get_by_role("button", name="Redrive", exact=True).click()

    expect(page.get_by_text("The last redrive: 3 sent back to orders.")).to_be_visible()
    expect(page.get_by_text("The queue is empty.")).to_be_visible()
    page.get_by_role("link", name="orders", exact=True).click()
    expect(page.get_by_role("heading", name="orders", exact=True)).to_be_visible()
    expect(page.locator(".card")).to_have_count(3)
    expect(page.get_by_text("Redrive these dead letters")).to_have_count(0)


def test_a_redrive_is_watched_and_cancelled(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=queues&queue=orders-dlq")
    page.get_by_text("Redrive these dead letters").click()
    page.get_by_label("Max per second").fill("1")
    page.get_by_label("Type the name of the dead-letter queue").fill("orders-dlq")
    page.get_by_role("button", name="Redrive", exact=True).click()

    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_text("The last redrive:")).to_contain_text("then cancelled")


def test_a_read_only_page_offers_no_redrive(
    page: Page, viewer: Service, start: Callable[..., Service], database_url: str
) -> None:
    assert viewer
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    reader = start("viewer", {**aws, "DATABASE_URL": database_url, "READ_ONLY": "1"})
    page.goto(f"{reader.url}/?tab=queues&queue=orders-dlq")

    expect(page.locator(".card")).to_have_count(3)
    for words in ("Redrive these dead letters", "Purge this queue", "Send to this queue"):
        expect(page.get_by_text(words)).to_have_count(0)

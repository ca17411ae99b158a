"""Cleaning up from the page: one message, all of a search, a queue; each after a confirmation."""

from collections.abc import Callable

import boto3
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import open_page, shown
from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.services import Service, Viewed
from tests.support.waiting import wait_for


@pytest.fixture
def questions(page: Page) -> list[str]:
    """What the page asks, which is answered with yes."""
    asked: list[str] = []

    def accept(dialog: object) -> None:
        asked.append(dialog.message)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", accept)
    return asked


def test_one_message_is_deleted(page: Page, viewed: Viewed, questions: list[str]) -> None:
    viewed.store.add([arrival("stays"), arrival("goes")])
    open_page(page, viewed)
    page.get_by_role("link", name="goes").click()

    page.get_by_role("button", name="delete", exact=True).click()

    expect(page.locator("tr.message")).to_have_count(1)
    assert shown(page) == ["stays"]
    assert "cannot be undone" in questions[0]


def test_all_that_a_search_finds_is_deleted(page: Page, viewed: Viewed, questions: list[str]) -> None:
    viewed.store.add([arrival("red"), arrival("blue"), arrival("red")])
    page.goto(f"{viewed.url}/?q=red")
    expect(page.locator("#connection")).to_have_text("live")
    page.get_by_text("more", exact=True).click()

    page.get_by_role("button", name="delete what the search finds").click()

    expect(page.locator("tr.message")).to_have_count(0)
    assert questions == ["Delete the 2 messages that match red? This cannot be undone."]
    page.goto(viewed.url)
    expect(page.locator("tr.message")).to_have_count(1)


def test_a_queue_is_looked_into_whole_and_purged_by_its_name(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=ministack.queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x" * 500 + " the end")
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    page.goto(f"{viewer.url}/?tab=waiting")
    page.locator(".card summary").click()
    expect(page.locator(".card .whole")).to_contain_text("the end")
    page.get_by_text("Purge this queue").click()

    page.get_by_label("Type its name to confirm").fill("wrong")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("#toast")).to_contain_text(f"wrong is not {ministack.queue}")
    page.get_by_label("Type its name to confirm").fill(ministack.queue)
    page.get_by_role("button", name="Purge").click()

    expect(page.get_by_text("The queue is empty.")).to_be_visible()
    wait_for(lambda: "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0))


def test_any_queue_is_chosen_to_be_looked_into_and_is_in_the_address(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    sqs, other = boto3.client("sqs"), f"{ministack.queue}-other"
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName=other)["QueueUrl"], MessageBody="theirs")
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    page.goto(f"{viewer.url}/?tab=waiting")
    expect(page.get_by_label("Queue", exact=True)).to_have_value(ministack.queue)

    page.get_by_label("Queue", exact=True).fill(other)
    page.get_by_role("button", name="Look into it").click()

    expect(page.locator(".card")).to_contain_text("theirs")
    expect(page).to_have_url(f"{viewer.url}/?tab=waiting&queue={other}")
    page.get_by_label("Queue", exact=True).fill("no-such-queue")
    page.get_by_role("button", name="Look into it").click()
    expect(page.get_by_text("there is no queue no-such-queue")).to_be_visible()
    page.go_back()
    expect(page.locator(".card")).to_contain_text("theirs")

"""Copies that are published from the page: exact, or with an id of their own, or edited."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from playwright.sync_api import Page, expect

from pipeline.envelope import Publication
from pipeline.message import Delivery
from tests.support.browser import open_page
from tests.support.dead_letters import fail
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.services import Service, Viewed
from tests.support.stores import Store

BODY = '{"plain": {"long": 12345678901234567890},\r\n "id": "{{uuid}}", "{{n}}": 1.50}'
TYPES = {"priority": "Number", "level": "Number.int", "regions": "String.Array"}
ATTRIBUTES = {"priority": "5.0", "level": "007", "regions": '["eu", 1]'}


def typed(delivery: Delivery, **known: Any) -> Delivery:
    publication = Publication(attribute_types=TYPES, **known)
    return replace(delivery, message=replace(delivery.message, publication=publication))


@pytest.fixture
def viewed_on(store: Store, ministack: Names, start: Callable[..., Service]) -> Viewed:
    """A viewer that can publish."""
    return Viewed(start("viewer", {**ministack.environment, "DATABASE_URL": store.url}), store)


def received(names: Names) -> dict[str, Any]:
    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    [found] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"])["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
    given = found["MessageAttributes"]
    return {
        "body": found["Body"],
        "attributes": {name: one["StringValue"] for name, one in given.items()},
        "types": {name: one["DataType"] for name, one in given.items()},
    }


EXACT = {"body": BODY, "attributes": ATTRIBUTES, "types": TYPES}


@pytest.mark.parametrize("way", ["resend", "edit"])
def test_a_message_that_is_no_event_is_sent_again_exactly(
    page: Page, viewed_on: Viewed, ministack: Names, way: str
) -> None:
    viewed_on.store.add([typed(raw_arrival(BODY, attributes=ATTRIBUTES))])
    open_page(page, viewed_on)
    page.locator("tr.message").click()

    page.get_by_role("button", name=way).click()
    if way == "edit":
        expect(page.get_by_label("Publish this text exactly")).to_be_hidden()
        page.get_by_role("button", name="Publish").click()

    assert received(ministack) == EXACT


def test_a_changed_copy_keeps_types_line_ends_and_its_link(
    page: Page, viewed_on: Viewed, ministack: Names
) -> None:
    delivery = typed(raw_arrival(BODY, attributes=ATTRIBUTES))
    [seq] = viewed_on.store.add([delivery])
    open_page(page, viewed_on)
    page.locator("tr.message").click()
    page.get_by_role("button", name="edit").click()

    text = page.get_by_label("A text or a whole CloudEvent")
    text.fill(text.input_value().replace("1.50", "2.50"))
    page.get_by_role("button", name="Publish").click()

    changed = received(ministack)
    assert changed == {**EXACT, "body": BODY.replace("1.50", "2.50")}
    viewed_on.store.add([raw_arrival(changed["body"], attributes=changed["attributes"])])
    page.goto(f"{viewed_on.url}/?m={seq}")
    expect(page.get_by_role("link", name="message 2")).to_be_visible()
    page.get_by_role("link", name="message 2").click()
    expect(page.locator(".facts")).to_contain_text("Copy of")


def test_of_an_event_the_reader_chooses_between_a_new_one_and_the_same(
    page: Page, viewed_on: Viewed, ministack: Names
) -> None:
    original = arrival("hello", id="A-1", source="/shop")
    viewed_on.store.add([replace(original, message=replace(original.message, attributes=ATTRIBUTES))])
    open_page(page, viewed_on)
    page.locator("tr.message").click()

    page.locator("summary", has_text="resend").click()
    expect(page.get_by_text("consumers take it as another delivery")).to_be_visible()
    page.get_by_role("button", name="exactly as it was").click()
    assert received(ministack)["body"] == original.message.body

    page.locator("summary", has_text="resend").click()
    page.get_by_role("button", name="as a new event").click()
    event = json.loads(received(ministack)["body"])
    assert (event["fanoutcopyof"], event["id"] != "A-1") == ("/shop A-1", True)

    page.get_by_role("button", name="edit").click()
    expect(page.get_by_text("It gets a new id and time")).to_be_visible()
    page.get_by_role("button", name="Publish").click()
    edited = json.loads(received(ministack)["body"])
    assert edited["fanoutcopyof"] == "/shop A-1"
    assert edited["id"] not in ("A-1", event["id"], "{{uuid}}")


def test_the_subject_of_a_copy_can_be_seen_and_changed(
    page: Page, viewed_on: Viewed, ministack: Names
) -> None:
    viewed_on.store.add([typed(raw_arrival("hi", attributes=ATTRIBUTES), subject="An order", topic="orders")])
    open_page(page, viewed_on)
    page.locator("tr.message").click()

    page.get_by_role("button", name="edit").click()

    expect(page.get_by_role("heading", name="Publish to orders")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("An order")
    expect(page.get_by_text("A copy:")).to_be_visible()
    page.get_by_role("button", name="CloudEvent").click()
    expect(page.get_by_text("A copy:")).to_be_hidden()
    page.get_by_label("Topic").fill(ministack.topic)
    expect(page.get_by_label("Subject")).to_be_hidden()
    page.get_by_label("Publish this text exactly").check()
    expect(page.get_by_label("Subject")).to_be_visible()


def test_a_dead_letter_shows_how_it_was_published_and_is_edited_with_all_of_it(
    page: Page, viewed_on: Viewed, ministack: Names
) -> None:
    dead = typed(raw_arrival(BODY, attributes=ATTRIBUTES), subject="An order", topic=ministack.topic)
    fail(viewed_on.store, dead)
    page.goto(f"{viewed_on.url}/?tab=dead&letter={dead.message_id}")

    expect(page.get_by_role("row", name="topic")).to_contain_text(ministack.topic)
    expect(page.get_by_role("row", name="priority")).to_contain_text("Number")
    page.get_by_role("button", name="Edit and resend").click()
    expect(page.get_by_label("Subject")).to_have_value("An order")
    page.get_by_role("button", name="Publish").click()

    assert received(ministack) == EXACT

"""Publishing from the page: the exact body, JSON that is checked, and the way to the message."""

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from playwright.sync_api import Page, expect

from local.emulators import aws_environment
from tests.support.emulators import Names, open_emulator
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.ports import free_port
from tests.support.services import Service, Viewed

RAW = '{ "order": {"id": 12345678901234567890} }'


def test_a_body_is_published_exactly_and_its_toast_leads_to_it(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    page.goto(f"{viewer.url}/?tab=publish")
    expect(page.get_by_role("heading", name=f"Publish to {ministack.topic}")).to_be_visible()

    page.get_by_label("A text or a whole CloudEvent").fill(RAW)
    page.get_by_label("exactly as it is").check()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.locator("#toast").get_by_role("button", name="show").click()

    expect(page.locator("#detail h2")).to_have_text("order")
    page.get_by_role("tab", name="Raw").click()
    expect(page.locator("#detail pre").first).to_have_text(RAW)
    assert page.locator("#detail pre").first.inner_text() == RAW


def test_broken_json_is_said_where_it_is_broken(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/?tab=publish")
    text = page.get_by_label("A text or a whole CloudEvent")

    text.fill('{"order": {{n}},\n "id" 5}')
    expect(page.get_by_text("line 2 column")).to_be_visible()
    text.fill('{"order": {{n}}}')
    expect(page.get_by_text("Not JSON")).to_have_count(0)
    text.fill("a plain text {")
    expect(page.get_by_text("Not JSON")).to_have_count(0)


def test_any_topic_of_the_endpoint_is_offered_and_published_to(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    topic, queue = f"{ministack.topic}.fifo", f"{ministack.queue}-other"
    arn = create_topic(topic)
    subscribe(arn, create_queue(queue))
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    page.goto(f"{viewer.url}/?tab=publish")

    expect(page.locator(f'#publish-names option[value="{topic}"]')).to_have_count(1)
    expect(page.get_by_label("Message group")).to_be_hidden()
    page.get_by_label("Topic").fill(topic)
    expect(page.get_by_role("heading", name=f"Publish to {topic}")).to_be_visible()
    expect(page.get_by_label("exactly as it is")).to_be_hidden()
    page.get_by_label("A text or a whole CloudEvent").fill(RAW)
    page.get_by_label("Message group").fill("A-1")
    page.get_by_label("Subject").fill("An order")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("1 published")

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    envelope = json.loads(message["Body"])
    assert (envelope["TopicArn"], envelope["Message"], envelope["Subject"]) == (arn, RAW, "An order")


def test_what_the_endpoint_has_is_offered_as_soon_as_it_answers(
    page: Page,
    start: Callable[..., Service],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    environment = aws_environment(port)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    viewer = start("viewer", {**environment, "DATABASE_URL": database_url})
    with page.expect_response(f"{viewer.url}/api/topology") as first:
        page.goto(f"{viewer.url}/?tab=publish")
    assert first.value.json()["read_at"] is None

    with open_emulator("ministack", tmp_path, port):
        create_topic("late")

        expect(page.locator('#publish-names option[value="late"]')).to_have_count(1)


def test_where_the_topic_of_the_pipeline_is_not_there_one_is_asked_for(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url, "TOPIC_NAME": "no-such-topic"}
    viewer = start("viewer", environment)
    page.goto(f"{viewer.url}/?tab=publish")

    expect(page.get_by_role("heading", name="Publish", exact=True)).to_be_visible()
    expect(page.get_by_label("Topic")).to_have_value("")


def test_a_queue_that_is_looked_into_is_sent_to(
    page: Page, ministack: Names, start: Callable[..., Service], database_url: str
) -> None:
    queue = f"{ministack.queue}-other"
    create_queue(queue)
    viewer = start("viewer", {**ministack.environment, "DATABASE_URL": database_url})
    page.goto(f"{viewer.url}/?tab=waiting&queue={queue}")
    page.get_by_role("button", name="Send to this queue").click()

    expect(page.get_by_role("heading", name=f"Publish to {queue}")).to_be_visible()
    for label in ("Subject", "Message group", "Deduplication id", "exactly as it is"):
        expect(page.get_by_label(label)).to_be_hidden()
    expect(page.get_by_role("button", name="Where would it go?")).to_be_hidden()
    page.get_by_label("A text or a whole CloudEvent").fill(RAW)
    page.get_by_label("Delay in seconds").fill("900")
    page.get_by_role("button", name="Publish", exact=True).click()
    page.locator("#toast").get_by_role("button", name="show").click()

    expect(page.locator(".card .mark")).to_have_text("delayed")
    expect(page.locator(".card bdi").first).to_have_text(RAW)


def test_a_fifo_queue_is_chosen_among_those_that_exist(
    page: Page,
    open_account: Callable[[str], dict[str, str]],
    start: Callable[..., Service],
    database_url: str,
) -> None:
    environment = open_account("ministack")  # where no other test has any
    queue = "other.fifo"
    create_queue(queue)
    viewer = start("viewer", {**environment, "DATABASE_URL": database_url})
    page.goto(f"{viewer.url}/?tab=publish")

    page.get_by_label("To", exact=True).select_option("Queue")
    expect(page.locator(f'#publish-names option[value="{queue}"]')).to_have_count(1)
    page.get_by_label("Queue", exact=True).fill(queue)
    expect(page.get_by_label("Delay in seconds")).to_be_hidden()
    page.get_by_label("A text or a whole CloudEvent").fill("order {{n}}")
    page.get_by_label("Message group").fill("A-1")
    page.get_by_label("Deduplication id").fill("once-{{n}}")
    page.get_by_label("Copies").fill("3")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("3 published")

    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    messages = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10, AttributeNames=["All"]
    )["Messages"]
    assert [one["Body"] for one in messages] == ["order 1", "order 2", "order 3"]
    assert [one["Attributes"]["MessageGroupId"] for one in messages] == ["A-1"] * 3

"""The view Topics, and where a message went."""

import os
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pipeline.store.taps import Taps, WatchedTopics
from tests.support.endpoints import (
    create_queue,
    create_topic,
    publish_and_store,
    subscribe,
)
from tests.support.services import Service, Viewed
from tests.support.stores import Store
from tests.support.waiting import wait_for


@pytest.fixture
def orders(open_account: Callable[[str], dict[str, str]]) -> str:
    """A topic with three subscriptions, in an account of its own; its ARN."""
    open_account("ministack")
    topic = create_topic("orders")
    subscribe(topic, create_queue("everything", create_queue("dead-orders")))
    subscribe(topic, create_queue("eu"), FilterPolicy={"region": ["eu"]})
    subscribe(topic, create_queue("rich"), FilterPolicy={"price": [{"numeric": [">", 100]}]})
    create_topic("quiet.fifo")
    create_queue("alone")
    return topic


@pytest.fixture
def viewer(orders: str, start: Callable[..., Service], database_url: str) -> Service:
    assert orders
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return start("viewer", {**aws, "DATABASE_URL": database_url, "TOPIC_NAME": "orders"})


def test_topics_are_drawn_with_what_they_lead_to(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=topics")
    topics = page.locator(".topics > li")

    expect(topics).to_have_count(2)
    expect(topics.first).to_contain_text("3 subscriptions")
    expect(topics.last).to_contain_text("FIFO · nothing is subscribed")
    lines = topics.first.locator(".fan > li")
    expect(lines).to_have_count(3)
    expect(lines.filter(has_text="everything")).to_contain_text("dead letters → dead-orders 0 waiting")
    eu = lines.filter(has_text="if region is eu")
    expect(eu).to_contain_text("→ eu 0 waiting")
    eu.locator("summary").click()
    expect(eu.locator("pre")).to_contain_text('"eu"')
    eu.get_by_role("link", name="eu").click()
    expect(page.get_by_role("heading", name="eu")).to_be_visible()
    expect(page.get_by_text("The queue is empty.")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("1 queue without a subscription")).to_be_visible()

    page.get_by_label("Show").fill("QUIET")
    expect(topics).to_have_count(1)
    page.get_by_label("Show").fill("")
    topics.first.get_by_role("link", name="orders", exact=True).click()
    expect(page.locator("#q")).to_have_value("topic:orders")
    expect(page).to_have_url(f"{viewer.url}/?q=topic%3Aorders")


def test_topics_tell_their_rate_and_last_message_and_queues_how_they_filled(
    page: Page, viewer: Service, orders: str, store: Store
) -> None:
    page.goto(f"{viewer.url}/?tab=topics")
    topic = page.locator(".topics > li").first
    expect(topic.locator("h3")).to_have_text("orders")
    expect(topic).not_to_contain_text("/min")
    wait_for(lambda: viewer.get("/api/topology").json()["queues"][0]["state"] == "known")

    publish_and_store(store, orders, "first")
    seq = publish_and_store(store, orders, "last")

    expect(topic).to_contain_text("2/min")
    everything = topic.locator(".fan > li").filter(has_text="everything")
    expect(everything).to_contain_text(re.compile(r"2 in flight · oldest \d+ s"))
    expect(everything.locator("svg title")).to_contain_text("up to 2 in the last")
    expect(topic.locator("svg")).to_have_count(1)
    topic.get_by_role("link", name="last").click()
    expect(page).to_have_url(f"{viewer.url}/?q=topic%3Aorders&m={seq}")
    expect(page.locator("#detail h2")).to_have_text("last")


def test_the_names_that_are_shown_are_in_the_address(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=topics&names=QUIET")
    topics = page.locator(".topics > li")
    expect(topics).to_have_count(1)
    expect(page.get_by_label("Show")).to_have_value("QUIET")

    page.get_by_label("Show").fill("orders")

    expect(topics.first.locator("h3")).to_have_text("orders")
    expect(page).to_have_url(f"{viewer.url}/?tab=topics&names=orders")


def test_a_topic_that_is_created_appears_by_itself(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=topics")
    expect(page.locator(".topics > li")).to_have_count(2)

    create_topic("new-topic")

    expect(page.locator(".topics > li")).to_have_count(3)
    expect(page.get_by_role("link", name="new-topic")).to_be_visible()


def test_the_tap_only_says_that_a_topic_is_watched(
    page: Page, viewer: Service, orders: str, store: Store
) -> None:
    subscribe(orders, create_queue("fanout-tap"))
    Taps(store.database).tell(WatchedTopics("fanout-tap", ["orders"], [], []))
    page.goto(f"{viewer.url}/?tab=topics")

    topic = page.locator(".topics > li").first
    expect(topic).to_contain_text("3 subscriptions · watched")
    expect(topic.locator(".fan > li")).to_have_count(3)
    expect(page.locator(".view")).not_to_contain_text("fanout-tap")


def test_a_message_says_where_it_went(page: Page, viewer: Service, orders: str, store: Store) -> None:
    seq = publish_and_store(store, orders, "hello", region=("String", "us"), price=("Number", "150"))
    page.goto(f"{viewer.url}/?m={seq}")

    page.get_by_role("tab", name="Destinations").click()

    lines = page.locator(".destinations li")
    expect(lines).to_have_count(3)
    expect(lines.filter(has_text="everything")).to_have_attribute("data-taken", "true")
    expect(lines.filter(has_text="rich")).to_have_attribute("data-taken", "true")
    expect(lines.filter(has_text='region is "us", the policy wants "eu"')).to_have_attribute(
        "data-taken", "false"
    )
    expect(page.locator("#content")).to_contain_text("as they are now")


def test_the_tap_is_marked_as_fanouts_own_and_comes_last(
    page: Page, viewer: Service, orders: str, store: Store
) -> None:
    subscribe(orders, create_queue("a-tap"))
    Taps(store.database).tell(WatchedTopics("a-tap", ["orders"], [], []))
    seq = publish_and_store(store, orders, "hello")
    page.goto(f"{viewer.url}/?m={seq}")
    page.get_by_role("tab", name="Destinations").click()

    lines = page.locator(".destinations li")
    expect(lines).to_have_count(4)
    expect(lines.last).to_contain_text("a-tap")
    expect(lines.last).to_contain_text("Fanout's own: it watches this topic")
    expect(lines.filter(has_text="Fanout's own")).to_have_count(1)


def test_a_draft_says_where_it_would_go(page: Page, viewer: Service) -> None:
    page.goto(f"{viewer.url}/?tab=publish")
    page.get_by_label("A text or a whole CloudEvent").fill("hello")
    page.get_by_role("button", name="Add an attribute").click()
    page.get_by_label("attribute name").fill("price")
    page.get_by_label("attribute type").select_option("Number")
    page.get_by_label("attribute value").fill("7")

    page.get_by_role("button", name="Where would it go?").click()

    lines = page.locator(".destinations li")
    expect(lines).to_have_count(3)
    expect(lines.filter(has_text="everything")).to_have_attribute("data-taken", "true")
    expect(lines.filter(has_text="price is 7, the policy wants a number > 100")).to_have_count(1)
    page.get_by_label("attribute value").fill("700")
    expect(lines).to_have_count(0)
    page.get_by_role("button", name="Where would it go?").click()
    expect(lines.filter(has_text="rich")).to_have_attribute("data-taken", "true")
    assert count_messages(viewer) == 0


def count_messages(viewer: Service) -> int:
    return len(viewer.get("/api/messages").json()["messages"])


def test_an_endpoint_that_is_away_is_said_to_be(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/?tab=topics")

    expect(page.locator(".view .problem")).to_contain_text("endpoint: Could not connect")

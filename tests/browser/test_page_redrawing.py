"""What is drawn again, because something changed, keeps what the reader has opened, chosen and focused."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from pipeline.store.failures import FailedTry
from tests.support.browser import open_page
from tests.support.dead_letters import die
from tests.support.examples import arrival
from tests.support.services import Viewed
from tests.support.stores import QUEUE, FailureRecords

SELECT = """(element) => {
    const range = new Range();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
}"""


def test_an_open_timeline_goes_on_by_itself(page: Page, viewed: Viewed) -> None:
    poison = arrival("poison")
    log = FailureRecords(viewed.store)
    viewed.store.add([poison])
    page.goto(f"{viewed.url}/?pane=timeline")
    steps = page.locator("#detail .steps li b")
    expect(steps).to_have_text(["published", "on the queue", "received", "stored"])
    steps.nth(1).evaluate(SELECT)

    second = replace(poison, receive_count=2, received_at=datetime.now(UTC))
    log.record([FailedTry(second, "KeyError", "'sku'", "Traceback: …", last=True)])

    expect(steps.last).to_have_text("dead")
    assert page.evaluate("getSelection().toString()").strip() == "on the queue"


def test_what_is_opened_in_a_message_stays_open(page: Page, viewed: Viewed) -> None:
    order = arrival({"a": {"b": {"c": {"deep": "value"}}}})
    viewed.store.add([order])
    open_page(page, viewed)
    page.locator("#detail summary", has_text="c").last.click()
    expect(page.get_by_text('"value"', exact=True)).to_be_visible()

    with page.expect_response(re.compile(r"/api/messages/\d+$")):
        pass  # it is read again

    expect(page.get_by_text('"value"', exact=True)).to_be_visible()


def test_dead_letters_stay_where_they_are_while_others_come_and_go(page: Page, viewed: Viewed) -> None:
    first = die(viewed.store, "first")
    die(viewed.store, "second")
    page.goto(f"{viewed.url}/?tab=dead")
    expect(page.locator("#flow li").first).to_be_visible()
    cards = page.locator(".card summary bdi")
    expect(cards).to_have_text(["second", "first"])
    page.locator("summary", has_text="first").click()
    trace = page.get_by_text("Traceback: …")
    expect(trace).to_be_visible()
    page.get_by_role("checkbox", name="select first").focus()
    trace.evaluate(SELECT)
    before = page.locator("summary", has_text="first").bounding_box()

    die(viewed.store, "third")
    FailureRecords(viewed.store).mark_redriven(QUEUE, [first], datetime.now(UTC))
    expect(page.get_by_role("button", name="▲ 1 new")).to_be_visible()

    expect(page.locator(".card.gone")).to_contain_text("no longer dead")
    assert cards.all_inner_texts() == ["second", "first"]
    assert page.evaluate("document.activeElement.ariaLabel") == "select first"
    assert page.evaluate("getSelection().toString()") == "Traceback: …"
    after = page.locator("summary", has_text="first").bounding_box()
    assert after == before
    page.get_by_role("button", name="▲ 1 new").click()
    expect(cards).to_have_text(["third", "second"])


def test_a_traceback_begins_with_the_frame_of_the_handler(page: Page, viewed: Viewed) -> None:
    frames = [
        '  File "/app/consumer/poller.py", line 151, in _handle',
        "    self._handler(delivery)",
        '  File "/app/shop/orders.py", line 7, in handle',
        "    delivery.message.data['sku']",
    ]
    trace = "\n".join(["Traceback (most recent call last):", *frames, "KeyError: 'sku'"])
    poison = arrival("poison")
    FailureRecords(viewed.store).record([FailedTry(poison, "KeyError", "'sku'", trace, last=True)])
    page.goto(f"{viewed.url}/?tab=dead")
    page.locator("summary", has_text="poison").click()

    expect(page.locator(".card pre").nth(1)).to_have_text("\n".join([*frames[2:], "KeyError: 'sku'"]).strip())
    expect(page.get_by_text("consumer/poller.py")).to_be_hidden()
    page.get_by_text("1 frame of the consumer").click()
    expect(page.get_by_text("consumer/poller.py")).to_be_visible()

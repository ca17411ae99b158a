"""One message, as it is read: its title, its status, its data, and commands that publish it again."""

import base64
import json
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from playwright.sync_api import Page, expect

from pipeline.store.failures import FailedTry
from tests.support.browser import open_page
from tests.support.dead_letters import fail
from tests.support.examples import arrival, raw_arrival
from tests.support.services import Viewed
from tests.support.stores import FailureRecords

ORDER = {
    "order": {"id": "A-1"},
    "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}],
    "note": "",
    "total": 5,
}
KEEP_COPIES = """
    globalThis.copied = [];
    const value = { writeText: async (text) => copied.push(text) };
    Object.defineProperty(navigator, "clipboard", { value });
"""


def copied(page: Page) -> str:
    # A function: the policy of the page does not allow a text to be evaluated again and again.
    page.wait_for_function("() => copied.length")
    expect(page.locator("#toast")).to_have_text("copied")
    return str(page.evaluate("copied.pop()"))


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("two lamps", "two lamps"),
        (ORDER, "order · items · note · total"),
        ([1, 2, 3], "3 items"),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}, "a · b · c · d · e · …"),
    ],
)
def test_the_title_is_words(page: Page, viewed: Viewed, data: object, title: str) -> None:
    viewed.store.add([arrival(data)])
    open_page(page, viewed)

    expect(page.locator("#detail h2")).to_have_text(title)


def test_the_status_leads_to_the_dead_letter(page: Page, viewed: Viewed) -> None:
    poison = arrival("poison", receive_count=5)
    viewed.store.add([poison])
    fail(viewed.store, *(arrival(f"another {number}") for number in range(30)), poison)
    open_page(page, viewed)

    page.locator("#detail .status").get_by_role("link", name="✖ dead after 5 tries").click()

    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    expect(page.locator(".card details[open]")).to_contain_text("poison")
    expect(page.locator(".card details[open]")).to_be_in_viewport()


def test_a_dead_letter_says_which_time_its_event_states(page: Page, viewed: Viewed) -> None:
    fail(viewed.store, arrival("replayed", event_time=datetime(2017, 4, 5, 17, 31, tzinfo=UTC)))
    page.goto(f"{viewed.url}/?tab=dead")

    page.locator(".card summary").click()

    expect(page.locator(".card")).to_contain_text("The event states the time 2017-04-05T17:31:00.000000Z.")


def test_a_failed_message_says_so(page: Page, viewed: Viewed) -> None:
    poison = arrival("poison")
    viewed.store.add([poison])
    FailureRecords(viewed.store).record(
        [FailedTry(replace(poison, receive_count=2), "KeyError", "'sku'", "Traceback: …", last=False)]
    )
    open_page(page, viewed)

    expect(page.locator("#detail .status")).to_have_text("✖ failed after 2 tries")


def test_arrays_have_indexes_and_what_is_folded_shows_its_beginning(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"a": {"b": {"items": ORDER["items"]}}})])
    open_page(page, viewed)
    folded = page.locator(".json details:not([open])")

    expect(folded).to_have_text([re.compile(r"items: \[ 2: \{…\}, \{…\} \]")])
    page.get_by_role("button", name="expand all").click()

    expect(folded).to_have_count(0)
    expect(page.locator(".json .index")).to_have_text(["0", "1"])


def test_everything_is_expanded_within_a_bound(page: Page, viewed: Viewed) -> None:
    viewed.store.add([raw_arrival(json.dumps([{"n": [number]} for number in range(5000)]))])
    open_page(page, viewed)

    page.get_by_role("button", name="expand all").click()

    expect(page.locator(".json details:not([open])")).to_have_count(0)
    expect(page.get_by_role("button", name="4,900 more · show")).to_be_visible()


def test_values_and_paths_are_copied(page: Page, viewed: Viewed) -> None:
    page.add_init_script(KEEP_COPIES)
    viewed.store.add([arrival(ORDER)])
    open_page(page, viewed)

    page.locator(".leaf", has_text='"y"').click()
    page.get_by_role("button", name="copy path").click()
    assert copied(page) == "data.items[1].sku"
    page.locator(".json .branch", has_text="items").click()
    page.get_by_role("button", name="copy value").click()
    assert json.loads(copied(page)) == ORDER["items"]
    page.locator(".leaf", has_text='"y"').click()
    page.get_by_role("button", name="search for this value").click()
    expect(page.get_by_role("searchbox")).to_have_value("data.items.sku:y")
    expect(page.locator("tr.message")).to_have_count(1)


@pytest.mark.parametrize("pane", ["Data", "Attributes", "Raw"])
def test_a_directional_override_is_shown_and_not_obeyed(page: Page, viewed: Viewed, pane: str) -> None:
    evil = "invoice\u202efdp.exe"
    viewed.store.add([arrival({"file": evil}, source=evil, attributes={"file": evil}), arrival(evil)])
    open_page(page, viewed)
    page.locator("tr.message").last.click()
    page.get_by_role("tab", name=pane).click()

    expect(page.locator("#detail .content")).to_contain_text("invoice⟦U+202E⟧fdp.exe")
    assert "\u202e" not in page.locator("#detail .content").inner_text()
    assert "\u202e" not in page.locator("tr.message").first.inner_text()


def test_the_closing_quote_of_a_value_stays_behind_it(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"name": "\u0645\u0635\u0628\u0627\u062d"})])
    open_page(page, viewed)

    value = page.locator(".json .string")
    ends = value.evaluate(
        """(value) => {
            const nodes = [...value.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
            return nodes.map((node) => {
                const range = new Range();
                range.selectNode(node);
                return range.getBoundingClientRect().left;
            });
        }"""
    )
    assert ends[0] < ends[1]


def test_no_time_is_cut_off_on_a_phone(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("hello")])
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{viewed.url}/?m={viewed.store.newest()}&pane=timeline")
    expect(page.locator(".steps time").first).to_be_visible()

    ends = page.locator(".steps time").evaluate_all(
        "(times) => times.map((time) => time.getBoundingClientRect().right)"
    )
    assert max(ends) <= 360


def test_attributes_of_sqs_are_shown(page: Page, viewed: Viewed) -> None:
    order = arrival("hello", receive_count=3)
    viewed.store.add([order])
    page.goto(f"{viewed.url}/?pane=attributes")

    expect(page.get_by_role("row", name="SQS message id")).to_contain_text(order.message_id)
    expect(page.get_by_role("row", name="receive count")).to_contain_text("3")


def test_a_message_is_copied_as_commands_that_publish_it(page: Page, viewed: Viewed) -> None:
    page.add_init_script(KEEP_COPIES)
    body = '{"it\'s": "a \\"test\\" $HOME"}'
    types = {"tenant": "String", "priority": "Number", "signature": "Binary"}
    envelope = {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": "arn:aws:sns:eu-west-1:000000000000:orders.fifo",
        "Subject": "It's an order",
        "Message": body,
        "MessageAttributes": {
            "tenant": {"Type": "String", "Value": "acme"},
            "priority": {"Type": "Number", "Value": "5.0"},
            "signature": {"Type": "Binary", "Value": "AP8="},
        },
    }
    viewed.store.add([raw_arrival(json.dumps(envelope))])
    open_page(page, viewed)

    def copy_as(name: str) -> str:
        page.get_by_text("copy as").click()
        page.get_by_role("button", name=name).click()
        return copied(page)

    words = shlex.split(copy_as("aws sns publish"))
    assert words[words.index("--message") + 1] == body
    attributes = json.loads(words[words.index("--message-attributes") + 1])
    assert attributes == {
        "tenant": {"DataType": "String", "StringValue": "acme"},
        "priority": {"DataType": "Number", "StringValue": "5.0"},
        "signature": {"DataType": "Binary", "BinaryValue": "AP8="},
    }
    assert words[words.index("--subject") + 1] == "It's an order"
    assert words[words.index("--topic-arn") + 1] == envelope["TopicArn"]
    assert "--message-group-id" in words
    assert "--message-deduplication-id" in words

    words = shlex.split(copy_as("curl"))
    sent = json.loads(words[-1])
    assert (sent["body"], sent["subject"], sent["topic"]) == (body, "It's an order", "orders.fifo")
    assert {name: value["type"] for name, value in sent["attributes"].items()} == types

    boto3 = Mock()
    code = copy_as("Python").removeprefix("import base64, boto3; ")
    exec(code, {"boto3": boto3, "base64": base64})
    published = boto3.client.return_value.publish.call_args.kwargs
    assert (published["Message"], published["Subject"]) == (body, "It's an order")
    assert published["MessageAttributes"]["signature"] == {"DataType": "Binary", "BinaryValue": b"\x00\xff"}
    assert published["TopicArn"] == envelope["TopicArn"]


def test_the_command_of_the_empty_page_reaches_this_emulator(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)

    expect(page.locator("#command")).to_have_text(
        re.compile(r"^aws --endpoint-url http://127.0.0.1:\d+ sns publish --topic-arn arn:aws:sns:")
    )


def test_a_message_shows_how_it_was_published(page: Page, viewed: Viewed) -> None:
    envelope = {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": "arn:aws:sns:eu-west-1:000000000000:orders",
        "Subject": "An order",
        "SequenceNumber": "10000000000000003000",
        "Message": '{"text": "two lamps"}',
        "MessageAttributes": {
            "priority": {"Type": "Number", "Value": "5"},
            "signature": {"Type": "Binary", "Value": ""},
        },
    }
    viewed.store.add([raw_arrival(json.dumps(envelope))])
    open_page(page, viewed)
    facts = page.locator(".facts")
    expect(facts.get_by_role("button", name="orders", exact=True)).to_be_visible()
    expect(facts).to_contain_text("orders → broadcasts-consumer")
    expect(facts.get_by_role("button", name="An order")).to_be_visible()

    page.get_by_role("tab", name="Attributes").click()
    expect(page.get_by_role("row", name="SNS message id")).to_contain_text("sns-1")
    expect(page.get_by_role("row", name="sequence number")).to_contain_text("10000000000000003000")
    expect(page.get_by_role("row", name="priority")).to_contain_text(re.compile("5.*Number", re.DOTALL))
    expect(page.get_by_role("row", name="signature")).to_contain_text("MiniStack loses")

    facts.get_by_role("button", name="An order").click()
    expect(page.get_by_role("searchbox")).to_have_value('subject:"An order"')
    expect(page.locator("tr.message")).to_have_count(1)

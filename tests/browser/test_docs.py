"""The description of the API as an interactive page."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.support.examples import arrival
from tests.support.services import Viewed


def test_the_docs_are_tried_out_and_ask_no_third_party(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("hello docs")])
    hosts, complaints = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: complaints.append(message.text))  # violations of the policy, too

    page.goto(f"{viewed.url}/docs")
    operation = page.locator("#operations-Messages-list_messages")
    operation.get_by_role("button").first.click()
    operation.get_by_role("button", name="Execute").click()

    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text("hello docs")
    assert hosts - {""} == {urlsplit(viewed.url).netloc}
    assert complaints == []


def test_the_docs_show_a_body_for_each_call_that_takes_one(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/docs")

    for call, body in [
        ("Messages-publish_message", '"text": "hello"'),
        ("Dead_letters-redrive", '"all": true'),
        ("Faults-choose_share", '"fail": 0.2'),
    ]:
        operation = page.locator(f"[id='operations-{call}']")
        operation.get_by_role("button").first.click()
        expect(operation.locator("textarea").first).to_have_value(re.compile(body))


def test_the_docs_lead_back_to_the_messages(page: Page, viewed: Viewed) -> None:
    page.goto(f"{viewed.url}/docs")

    page.get_by_role("link", name="Messages").click()

    expect(page).to_have_url(f"{viewed.url}/")

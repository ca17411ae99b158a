"""What a reader does on the page: keeps searches, is notified, finds in a message, sends again."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, Request, Route, expect

from local.emulators import aws_environment
from pipeline.store.faults import FaultShare
from tests.support.browser import open_page, shown
from tests.support.emulators import Names
from tests.support.examples import arrival, raw_arrival
from tests.support.ports import closed_port
from tests.support.services import Service, Viewed
from tests.support.stores import Store
from tests.support.waiting import wait_for

# Notifications are kept instead of shown, and the test says whether the reader looks.
STAND_IN = """
    globalThis.shown = [];
    globalThis.Notification = class extends EventTarget {
        static requestPermission = async () => "PERMISSION";
        constructor(title, options) { super(); shown.push(Object.assign(this, { title, ...options })); }
        close() {}
    };
    globalThis.away = false;
    document.hasFocus = () => !away;
"""


def search(page: Page, q: str) -> None:
    page.get_by_role("searchbox").fill(q)
    page.get_by_role("searchbox").press("Enter")
    expect(page).to_have_url(re.compile(f"q={q}$"))


def save_search(page: Page, q: str) -> None:
    search(page, q)
    page.get_by_text("more", exact=True).click()
    page.get_by_role("button", name="save this search").click()


def test_a_saved_search_survives_a_reload_and_is_opened_and_forgotten(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival("red"), arrival("blue")])
    open_page(page, viewed)
    save_search(page, "red")
    page.goto(viewed.url)
    expect(page.locator("tr.message")).to_have_count(2)

    page.get_by_text("more", exact=True).click()
    page.get_by_role("button", name="red", exact=True).click()
    expect(page.locator("tr.message")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("red")
    page.get_by_text("more", exact=True).click()
    expect(page.get_by_role("button", name="save this search")).to_be_disabled()
    page.get_by_role("button", name="delete red").click()
    page.reload()
    page.get_by_text("more", exact=True).click()

    expect(page.get_by_role("button", name="save this search")).to_be_enabled()
    expect(page.get_by_role("button", name="red", exact=True)).to_have_count(0)


def test_a_saved_search_notifies_those_who_look_elsewhere_at_most_once_in_ten_seconds(
    page: Page, viewed: Viewed
) -> None:
    page.clock.install()
    page.add_init_script(STAND_IN.replace("PERMISSION", "granted"))
    open_page(page, viewed)
    save_search(page, "red")
    page.get_by_role("button", name="notify about red").click()
    expect(page.get_by_role("button", name="notify about red")).to_have_attribute("aria-pressed", "true")
    search(page, "blue")
    viewed.store.add([arrival("red, while looking")])

    def titles() -> list[str]:
        return page.evaluate("shown.map(({ title }) => title)")  # type: ignore[no-any-return]

    with page.expect_response("**/api/messages?after=now*"):
        page.evaluate("away = true; dispatchEvent(new Event('blur'))")
    viewed.store.add([arrival("red one"), arrival("blue one")])
    wait_for(lambda: titles() == ["red"])
    viewed.store.add([arrival("red two")])
    viewed.store.add([arrival("red three")])
    page.clock.fast_forward(10_000)
    wait_for(lambda: titles() == ["red", "2 messages: red"])
    page.evaluate("shown[1].dispatchEvent(new Event('click'))")

    expect(page.locator("#detail h2")).to_have_text("red three")
    expect(page.get_by_role("searchbox")).to_have_value("red")
    assert page.evaluate("shown.map(({ body }) => body)") == ["red one", "red three"]


def test_a_tab_notifies_of_what_another_one_asked_for(page: Page, viewed: Viewed) -> None:
    page.add_init_script(STAND_IN.replace("PERMISSION", "granted"))
    open_page(page, viewed)
    other = page.context.new_page()
    other.add_init_script(STAND_IN.replace("PERMISSION", "granted"))
    open_page(other, viewed)
    save_search(other, "red")
    other.get_by_role("button", name="notify about red").click()
    expect(other.get_by_role("button", name="notify about red")).to_have_attribute("aria-pressed", "true")
    other.close()

    with page.expect_response("**/api/messages?after=now*"):
        page.evaluate("away = true; dispatchEvent(new Event('blur'))")
    viewed.store.add([arrival("red one")])

    wait_for(lambda: page.evaluate("shown.map(({ title }) => title)") == ["red"])


def test_of_two_searches_the_last_is_shown_however_late_the_first_is_found(
    page: Page, viewed: Viewed
) -> None:
    viewed.store.add([arrival("red"), arrival("blue")])
    open_page(page, viewed)
    answers: list[Route] = []

    def hold(route: Route) -> None:
        answers.append(route)

    page.route("**/api/messages?q=red&*", hold)
    search(page, "red")
    search(page, "blue")
    expect(page.locator("tr.message")).to_have_count(1)

    wait_for(lambda: bool(page.evaluate("1") and answers))
    with page.expect_response("**/api/messages?q=red&*"):
        answers[0].continue_()
    viewed.store.add([arrival("blue again")])

    expect(page.locator("tr.message")).to_have_count(2)
    assert shown(page) == ["blue again", "blue"]


def test_a_browser_that_blocks_notifications_is_said_to(page: Page, viewed: Viewed) -> None:
    page.add_init_script(STAND_IN.replace("PERMISSION", "denied"))
    open_page(page, viewed)
    save_search(page, "red")

    page.get_by_role("button", name="notify about red").click()

    expect(page.locator("#toast")).to_contain_text("The browser blocks notifications")
    expect(page.get_by_role("button", name="notify about red")).to_have_attribute("aria-pressed", "false")


def test_a_message_left_for_another_one_never_says_that_it_failed(page: Page, viewed: Viewed) -> None:
    slow, next_one, _ = viewed.store.add([arrival("slow"), arrival("middle"), arrival("quick")])
    page.route(f"**/api/messages/{slow}", lambda _: None)  # never answered
    open_page(page, viewed)
    title = page.locator("#detail h2")
    expect(title).to_have_text("quick")
    page.evaluate(
        """() => {
            globalThis.titles = [];
            const title = document.querySelector("#detail h2");
            const all = { childList: true, characterData: true, subtree: true };
            new MutationObserver(() => titles.push(title.textContent)).observe(title, all);
        }"""
    )

    page.locator("tr.message").last.click()
    page.locator("tr.message").nth(1).click()
    expect(title).to_have_text("middle")
    page.locator("tr.message").last.click()
    page.locator("tr.message").nth(1).click()
    expect(page).to_have_url(re.compile(f"m={next_one}$"))

    assert page.evaluate("titles") == ["middle"]


def test_what_is_folded_away_in_a_megabyte_is_found(page: Page, viewed: Viewed) -> None:
    rows = [{"n": number, "deep": {"deeper": {"text": f"row {number}"}}} for number in range(20_000)]
    rows[12_345]["needle"] = "a Needle"
    viewed.store.add([raw_arrival(json.dumps({"rows": rows}, separators=(",", ":")))])
    open_page(page, viewed)
    expect(page.locator("#detail .content")).to_contain_text("rows")
    page.keyboard.press("f")
    box = page.get_by_label("Find in the message")

    box.fill("NEEDLE")
    expect(page.locator(".find output")).to_have_text("1 of 2")
    box.press("Enter")
    expect(page.locator(".find output")).to_have_text("2 of 2")
    marked = page.evaluate("[...CSS.highlights.get('here')][0].toString()")
    in_sight = page.evaluate(
        """() => {
            const { top, bottom } = [...CSS.highlights.get('here')][0].getBoundingClientRect();
            const pane = document.getElementById('content').getBoundingClientRect();
            return pane.top <= top && bottom <= pane.bottom;
        }"""
    )
    assert (marked, in_sight) == ("Needle", True)
    box.press("Enter")
    expect(page.locator(".find output")).to_have_text("1 of 2")
    box.fill("nothing [like] this")
    expect(page.locator(".find output")).to_have_text("none")
    box.press("Escape")

    expect(box).to_be_hidden()
    expect(page.locator("#detail .json")).to_be_visible()


def test_a_message_is_sent_with_attributes_again_and_changed_while_some_fail(
    page: Page, ministack: Names, start: Callable[..., Service], store: Store, database_url: str
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment, FAULTS="fail=0")
    wait_for(lambda: FaultShare(store.database).read() == 0)
    page.goto(f"{viewer.url}/?tab=publish")

    page.get_by_label("A text or a whole CloudEvent").fill("original")
    page.get_by_role("button", name="Add an attribute").click()
    page.get_by_label("attribute name").fill("priority")
    page.get_by_label("attribute type").select_option("Number")
    page.get_by_label("attribute value").fill("high")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("input:invalid")).to_have_value("high")
    page.get_by_label("attribute value").fill("12345678901234567890")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Messages").click()
    expect(page.locator("tr.message")).to_have_count(1)
    page.locator("tr.message").click()
    page.get_by_role("tab", name="Attributes").click()
    expect(page.get_by_role("row", name="priority")).to_contain_text("12345678901234567890")

    resend_as_new_event(page)
    expect(page.locator("tr.message")).to_have_count(2)
    page.locator("tr.message").first.click()
    expect(page.get_by_role("row", name="copyof")).to_be_visible()
    expect(page.get_by_role("row", name="priority")).to_be_visible()
    page.get_by_role("button", name="edit").click()
    text = page.get_by_label("A text or a whole CloudEvent")
    text.fill(text.input_value().replace('"original"', '"changed"'))
    page.get_by_role("button", name="remove the attribute").first.click()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("link", name="Messages").click()
    expect(page.locator("tr.message")).to_have_count(3)
    assert shown(page) == ["changed", "original", "original"]

    page.get_by_role("link", name="Publish").click()
    page.get_by_role("slider").fill("100")
    wait_for(lambda: FaultShare(store.database).read() == 1)


def test_an_address_that_names_no_message_opens_none(page: Page, viewed: Viewed) -> None:
    body = json.dumps({"seq": 1, "data": "forged", "id": "forged", "attributes": {}, "body": "forged"})
    [seq] = viewed.store.add([raw_arrival(body)])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    for forged in (f"{seq}/body", f"{seq}%2Fbody", f"../messages/{seq}/body", f"{seq}?x=/body", "-1", "1e0"):
        page.goto(f"{viewed.url}/?m={forged}")
        expect(page.locator("tr.message")).to_have_count(1)
        expect(page.locator("#connection")).to_have_text("live")

    paths = [url.partition("?")[0] for url in asked if "/api/" in url]
    assert paths
    assert not [path for path in paths if path.endswith(("/body", "/-1", "/1e0"))]


def test_a_page_that_only_reads_says_why_and_offers_no_writing(
    page: Page, store: Store, start: Callable[..., Service]
) -> None:
    store.add([arrival("hello")])
    viewer = start("viewer", aws_environment(closed_port()), DATABASE_URL=store.url, READ_ONLY="1")

    page.goto(viewer.url)

    expect(page.get_by_text("READ_ONLY is set")).to_be_visible()
    expect(page.get_by_role("link", name="Publish")).to_have_count(0)
    page.locator("tr.message").click()
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#detail").get_by_text("resend")).to_have_count(0)


def resend_as_new_event(page: Page) -> None:
    page.locator("summary", has_text="resend").click()
    page.get_by_role("button", name="as a new event").click()


def test_templates_in_a_message_stay_in_its_copies(page: Page, viewed: Viewed) -> None:
    text = "{{n}} {{uuid}} {{now}}"
    [seq] = viewed.store.add([arrival({"text": text}, attributes={"note": "{{n}}"})])
    sent: list[tuple[str, str | None]] = []

    def answer(route: Route, request: Request) -> None:
        if request.method != "POST":
            route.continue_()
            return
        sent.append((request.url.removeprefix(viewed.url), request.post_data))
        route.fulfill(status=202, json={"message_id": "x", "topic": "/x"})

    page.route("**/api/messages**", answer)
    page.route("**/api/messages/**", answer)
    open_page(page, viewed)
    page.locator("tr.message").click()

    resend_as_new_event(page)
    expect(page.get_by_text("Copy published to /x")).to_be_visible()
    page.get_by_role("button", name="edit").click()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("1 published")).to_be_visible()

    (resent, _), (published, body) = sent
    assert (resent, published) == (f"/api/messages/{seq}/copies?identity=new", "/api/messages/exact")
    document = json.loads(body or "")
    event = json.loads(document["body"])
    assert event["data"]["text"] == text
    assert document["attributes"]["note"] == {"type": "String", "value": "{{n}}"}
    assert "{{" not in event["id"] + event["time"]

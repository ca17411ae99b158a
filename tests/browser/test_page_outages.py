"""What the page says of what is away: its name within five seconds, what to do, and nothing else."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import open_page
from tests.support.examples import arrival
from tests.support.services import Viewed

UP = {"state": "up", "reason": None}
FIGURES = {
    "total": 3,
    "oldest": None,
    "per_second": 0.0,
    "last_minute": 0,
    "p50": None,
    "p95": None,
    "p99": None,
}
QUEUE = {"name": "q", "visible": 0, "in_flight": 0, "delayed": 0, **UP}
WELL: dict[str, Any] = {
    "services": {"producer": UP, "consumer": UP, "viewer": UP},
    "topic": {"name": "t", **UP},
    "queue": QUEUE,
    "dead_letter_queue": None,
    "store": FIGURES,
    "faults": None,
    "taps": [],
}
WAITS = {"state": "degraded", "reason": "aws: no answer"}
WAITING = {"producer": WAITS, "consumer": WAITS, "viewer": UP}
WITHOUT_CONSUMER = {**WELL["services"], "consumer": {"state": "down", "reason": "refused"}}
AWAY_DATABASE = {"detail": "the database does not answer: no answer within 2 s"}
BAD = ("down", "degraded", "unknown", "missing")


def away(what: str) -> dict[str, Any]:
    return {"name": what, "state": "unknown", "reason": "no answer within 2 s"}


def overview(page: Page, document: dict[str, Any], status: int = 200) -> None:
    page.route("**/api/pipeline", lambda route: route.fulfill(status=status, body=json.dumps(document)))


@pytest.mark.parametrize(
    ("answer", "title", "blamed"),
    [
        ((WELL, 200), None, []),
        ((AWAY_DATABASE, 503), "The database does not answer.", ["database"]),
        (
            ({**WELL, "topic": away("t"), "queue": away("q"), "services": WAITING}, 200),
            "SNS and SQS do not answer.",
            ["t", "q"],
        ),
        (({**WELL, "queue": {**away("q"), "state": "missing"}}, 200), "The queue q does not exist.", ["q"]),
        (({**WELL, "services": WITHOUT_CONSUMER}, 200), "The consumer does not answer.", ["consumer"]),
    ],
    ids=["nothing", "database", "emulator", "queue", "consumer"],
)
def test_what_is_away_is_named_and_nothing_else_is_blamed(
    page: Page, viewed: Viewed, answer: tuple[dict[str, Any], int], title: str | None, blamed: list[str]
) -> None:
    overview(page, *answer)
    page.goto(viewed.url)
    expect(page.locator("#flow li").first).to_be_visible()

    outage = page.locator("#outage")
    if title:
        expect(outage.locator("b")).to_have_text(title, timeout=5000)
        expect(outage).to_contain_text("Since")
    else:
        expect(outage).to_be_hidden()
    states = ", ".join(f"[data-state={state}]" for state in BAD)
    bad = page.locator(f"#flow li:is({states})")
    assert [one.get_attribute("data-name") for one in bad.all()] == blamed


def test_a_viewer_that_is_gone_is_named_and_so_is_its_return(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    gone = True

    def answer(route: Route) -> None:
        route.abort() if gone else route.continue_()

    page.route("**/api/pipeline", answer)
    expect(page.locator("#outage")).to_contain_text("The viewer does not answer.", timeout=5000)
    expect(page.locator("#connection")).to_have_text("no viewer")
    gone = False

    expect(page.locator("#outage")).not_to_contain_text("viewer")
    expect(page.locator("#connection")).to_have_text("live")


def test_a_frozen_database_does_not_look_live(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)

    overview(page, AWAY_DATABASE, 503)

    expect(page.locator("#connection")).to_have_text("no database", timeout=5000)


def test_polls_never_overlap(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/pipeline", hold)

    expect(page.locator("#outage")).to_contain_text("The viewer does not answer.", timeout=10_000)

    assert len(held) == 1


def test_a_view_that_cannot_be_loaded_says_so(page: Page, viewed: Viewed) -> None:
    page.route("**/views/metrics/*.js", lambda route: route.abort())
    open_page(page, viewed)

    page.get_by_role("link", name="Metrics").click()

    expect(page.get_by_role("button", name="Reload the page")).to_be_visible()


def test_a_page_whose_script_was_dropped_on_its_way_loads_itself_again(page: Page, viewed: Viewed) -> None:
    page.route("**/core/api.js", lambda route: route.abort("internetdisconnected"), times=1)
    open_page(page, viewed)


def test_a_page_whose_script_never_arrives_says_so_and_stops_asking(page: Page, viewed: Viewed) -> None:
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))
    page.add_init_script("globalThis.setTimeout = (later) => queueMicrotask(later)")
    page.route("**/core/api.js", lambda route: route.abort())
    page.goto(viewed.url)

    connection = page.locator("#connection")
    expect(connection).to_have_text("parts of this page cannot be loaded: reload it")
    expect(connection).to_have_attribute("data-state", "broken")
    assert len(loads) == 6


def test_a_style_that_a_view_lacks_later_does_not_load_the_page_again(page: Page, viewed: Viewed) -> None:
    open_page(page, viewed)
    page.wait_for_load_state("load")
    loads: list[str] = []
    page.on("framenavigated", lambda frame: loads.append(frame.url))

    page.evaluate(
        """async () => {
          const style = document.createElement("link");
          Object.assign(style, { rel: "stylesheet", href: "static/none.css" });
          const failed = new Promise((done) => style.addEventListener("error", done));
          document.head.append(style);
          await failed;
          for (let n = 0; n < 3; n += 1) await fetch("health"); // which a page asks before it loads again
        }"""
    )

    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert loads == []


def test_a_read_that_the_browser_dropped_is_tried_once_more(page: Page, viewed: Viewed) -> None:
    viewed.store.add([arrival({"order": 1})])
    page.route("**/api/messages/1", lambda route: route.abort(), times=1)
    open_page(page, viewed)
    expect(page.locator("#detail .json")).to_be_visible()


@pytest.mark.parametrize(
    ("watched", "shown"),
    [
        ((["orders", "payments"], []), ("2 topics", "watched")),
        ((["orders"], ["no topic matches x (WATCH)"]), ("1 topic", "watched · 1 problem")),
    ],
)
def test_the_stages_of_a_tap_begin_with_what_it_watches(
    page: Page, viewed: Viewed, watched: tuple[list[str], list[str]], shown: tuple[str, str]
) -> None:
    topics, problems = watched
    taps = [{"queue": "fanout-tap", "topics": topics, "left_out": [], "problems": problems}]
    services = dict.fromkeys(("consumer", "viewer"), UP)
    overview(page, {**WELL, "services": services, "topic": None, "taps": taps})
    open_page(page, viewed)

    stages = page.locator("#flow li")
    expect(stages).to_have_count(5)
    expect(stages.first.locator("> *")).to_have_text(shown)
    expect(stages.first).to_have_attribute("title", "\n".join(problems or topics))
    expect(page.locator("#outage")).to_be_hidden()

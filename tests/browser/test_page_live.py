"""How the page puts what arrives in order (live/in_order.js), in a browser, apart from the page around it."""

from typing import Any

from playwright.sync_api import Page

from tests.support.examples import arrival
from tests.support.services import Viewed

TAKE = """async ({ after, arrivals }) => {
    const { InOrder } = await import("/static/live/in_order.js");
    const received = [];
    const signal = new AbortController().signal;
    const order = new InOrder({ query: "", after, signal, receive: (item) => received.push(item) });
    for (const [item, previous] of arrivals) order.take(item, previous);
    const last = arrivals.at(-1)[0];
    for (let tries = 0; tries < 100 && order.newest < (last.to ?? last.seq); tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return received.map(({ seq, from, to, count }) => seq ?? { from, to, count });
}"""


def take(page: Page, viewed: Viewed, after: int, *arrivals: tuple[dict[str, Any], int]) -> list[Any]:
    """Return what is received, in order: numbers of messages, and gaps."""
    page.goto(f"{viewed.url}/health")  # has no script of its own
    return page.evaluate(TAKE, {"after": after, "arrivals": arrivals})  # type: ignore[no-any-return]


def store_messages(viewed: Viewed, count: int) -> list[int]:
    """Return the numbers of so many new messages."""
    found = viewed.store.add([arrival(f"message {number}") for number in range(count)])
    return [seq for seq in found if isinstance(seq, int)]


def test_what_arrives_twice_or_late_is_received_once(page: Page, viewed: Viewed) -> None:
    first, *_ = store_messages(viewed, 4)

    items = [({"seq": seq}, seq - 1) for seq in (first, first + 1, first + 1, first, first + 3)]

    assert take(page, viewed, first - 1, *items) == [first, first + 1, first + 2, first + 3]


def test_what_was_missed_is_fetched_before_what_follows_it(page: Page, viewed: Viewed) -> None:
    seqs = store_messages(viewed, 5)
    first, *_, last = seqs

    assert take(page, viewed, first, ({"seq": last}, last - 1)) == seqs[1:]


def test_what_was_missed_and_cannot_be_fetched_is_a_gap(page: Page, viewed: Viewed) -> None:
    page.route("**/api/messages?*", lambda route: route.abort())

    received = take(page, viewed, 10, ({"seq": 15}, 14), ({"seq": 16}, 15))

    assert received == [{"from": 11, "to": 14, "count": None}, 15, 16]


def test_of_very_many_that_were_missed_only_a_gap_is_received(page: Page, viewed: Viewed) -> None:
    received = take(page, viewed, 0, ({"seq": 5000}, 4999))

    assert received == [{"from": 1, "to": 4999, "count": None}, 5000]

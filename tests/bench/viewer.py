"""`make bench-viewer`: how soon a message is seen, by how many, and how fast much is searched.

Everything is real: messages come through LocalStack where their way is measured, the page runs in Chromium,
and the readers of many streams are a process of their own. The tables are also written to docs/benchmark.md.
"""

import contextlib
import itertools
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from local.process import stop_all
from pipeline.message import Delivery
from tests.bench.report import goals, markdown, percentiles, where, write_section
from tests.bench.setup import Bench, fill, open_bench
from tests.support.browser import start_chromium
from tests.support.examples import arrival
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

LATENCY_SECONDS = int(os.environ.get("BENCH_LATENCY_SECONDS", "20"))
FLOOD_SECONDS = int(os.environ.get("BENCH_FLOOD_SECONDS", "60"))
STREAMS = [int(count) for count in os.environ.get("BENCH_STREAMS", "1000,10000").split(",")]
STREAM_SECONDS = int(os.environ.get("BENCH_STREAM_SECONDS", "20"))
STORED = [int(count) for count in os.environ.get("BENCH_STORED", "100000,1000000").split(",")]

FLOOD_RATE = 500
FILTERS = 200
FILTERED_RATE = 50


# ---- the parts


@contextlib.contextmanager
def viewer(bench: Bench, environment: dict[str, str] | None = None) -> Iterator[Service]:
    """A viewer that lets one address have any number of streams."""
    settings = {"LOG_LEVEL": "WARNING", "MAX_STREAMS_PER_CLIENT": "1000000", "MAX_CONNECTIONS": "11000"}
    service = bench.start("viewer", {**bench.aws, **(environment or {}), **settings})
    service.process.wait_until(service.is_ready, 30)
    yield service
    stop_all([service.process], 10)


@contextlib.contextmanager
def consumer(bench: Bench, environment: dict[str, str]) -> Iterator[None]:
    """A consumer that has stored some messages, so that its start is not measured."""
    bench.empty_store()
    service = bench.start("consumer", environment)
    fill(environment, 10)
    bench.wait_until_stored(10)
    yield
    stop_all([service.process], 10)


@contextlib.contextmanager
def producer(bench: Bench, environment: dict[str, str], rate: int) -> Iterator[None]:
    """So many messages a second."""
    service = bench.start("producer", {**environment, "RATE_PER_SECOND": str(rate)})
    yield
    stop_all([service.process], 5)


def store_steadily(store: Store, rate: int, seconds: float) -> int:
    """Store so many messages a second, in up to fifty transactions; return how many that were."""
    each = max(1, rate // 50)
    began = time.monotonic()
    for count in itertools.count(0, each):
        if time.monotonic() > began + seconds:
            return count
        store.add(
            [arrival({"text": f"message {count + n}", "n": (count + n) % FILTERS}) for n in range(each)]
        )
        time.sleep(max(0, began + (count + each) / rate - time.monotonic()))
    raise AssertionError


class Readers:
    """The process tests.support.stream_readers, once all its streams are open."""

    def __init__(self, bench: Bench, service: Service, streams: int, seconds: float, *queries: str) -> None:
        arguments = [str(service.port), str(streams), str(seconds), *queries]
        self._process = bench.start(
            "readers", {}, [sys.executable, "-m", "tests.support.stream_readers", *arguments]
        )
        wait_for(lambda: "open" in self._process.log(), 120, "all streams open")

    def figures(self) -> dict[str, Any]:
        self._process.process.wait(120)
        return json.loads(self._process.log().splitlines()[-1])  # type: ignore[no-any-return]


def resident(service: Service) -> float:
    """Return the resident memory of the process that answers, in MiB."""
    [worker] = psutil.Process(service.process.pid).children()
    return float(worker.memory_info().rss) / 2**20


FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
# Every script of the page has run.
NOTE_WHEN_READY = """
  new MutationObserver((_, observer) => {
    if (document.documentElement?.dataset.ready === undefined) return;
    window.ready = performance.now();
    observer.disconnect();
  }).observe(document, { attributes: true, childList: true, subtree: true });
"""


def open_page(browser: Browser, service: Service) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.add_init_script(NOTE_WHEN_READY)
    page.goto(service.url)
    page.wait_for_selector("#connection[data-state=live]")
    return page


# ---- how soon, with one reader


# A row counts as seen once the frame that draws it has begun.
NOTE_WHEN_SEEN = """() => {
  window.seen = [];
  new MutationObserver((changes) => requestAnimationFrame(() => {
    const now = performance.timeOrigin + performance.now();
    for (const { addedNodes } of changes) for (const row of addedNodes) {
      seen.push((now - new Date(row.querySelector("time").dateTime)) / 1000);
    }
  })).observe(document.getElementById("rows"), { childList: true });
}"""


def measure_latency(bench: Bench, browser: Browser) -> None:
    environment = bench.new_queue()
    with viewer(bench, environment) as service, consumer(bench, environment):
        page = open_page(browser, service)
        page.evaluate(NOTE_WHEN_SEEN)
        readers = Readers(bench, service, 1, LATENCY_SECONDS)
        with producer(bench, environment, 10):
            figures = readers.figures()
        note_percentiles(bench, "published to stream, 10/s", figures["latencies"])
        note_percentiles(bench, "published to seen in the page, 10/s", page.evaluate("seen"))
        page.context.close()


def note_percentiles(bench: Bench, name: str, seconds: Sequence[float]) -> None:
    cuts = percentiles(seconds)
    for percent in (50, 95, 99):
        bench.note(f"{name}: p{percent} (ms)", cuts[percent - 1] * 1000)


# ---- much in one page


NOTE_WHAT_COMES = """() => {
  window.shown = [];
  window.gaps = [];
  window.longest = 0;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const { dataset } of addedNodes) {
      if (dataset.seq) shown.push(Number(dataset.seq));
      else gaps.push([Number(dataset.from), Number(dataset.to)]);
    }
  }).observe(document.getElementById("rows"), { childList: true });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  }).observe({ type: "longtask" });
}"""


def measure_flood(bench: Bench, browser: Browser) -> None:
    bench.empty_store()
    with viewer(bench) as service:
        page = open_page(browser, service)
        page.evaluate(NOTE_WHAT_COMES)
        before = heap(page)
        writer = threading.Thread(target=store_steadily, args=[bench.store, FLOOD_RATE, FLOOD_SECONDS])
        writer.start()
        while writer.is_alive():
            page.wait_for_timeout(500)
        with bench.store.connection() as connection:
            seqs = [seq for (seq,) in connection.execute("SELECT seq FROM messages ORDER BY seq")]
        page.wait_for_selector(f'tr[data-seq="{seqs[-1]}"]')
        shown, gaps = set(page.evaluate("shown")), page.evaluate("gaps")
        missed = [
            seq for seq in seqs if seq not in shown and not any(first <= seq <= last for first, last in gaps)
        ]
        bench.note("flood: messages", len(seqs))
        bench.note("flood: shown", len(shown))
        bench.note("flood: neither shown nor in a stated gap", len(missed))
        bench.note("flood: longest task (ms)", page.evaluate("longest"))
        bench.note("flood: growth of the heap (MiB)", (heap(page) - before) / 2**20)
        page.context.close()


def heap(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used)


# ---- many streams


def measure_streams(bench: Bench, streams: int) -> None:
    environment = bench.new_queue()
    with viewer(bench, environment) as service, consumer(bench, environment):
        readers = Readers(bench, service, streams, STREAM_SECONDS)
        with producer(bench, environment, 1):
            time.sleep(STREAM_SECONDS - 2)  # this is what is measured
        memory = resident(service)
        figures = readers.figures()
    seqs = figures["seqs"]
    note_percentiles(bench, f"{streams:,} streams", figures["latencies"])
    bench.note(f"{streams:,} streams: memory (MiB)", memory)
    bench.note(f"{streams:,} streams: lost, or without a message", sum(got != seqs[0] for got in seqs))
    bench.note(f"{streams:,} streams: failed", streams - figures["open"])


def measure_filters(bench: Bench) -> None:
    bench.empty_store()
    with viewer(bench) as service:
        queries = [f"?q=n:{number}" for number in range(FILTERS)]
        readers = Readers(bench, service, FILTERS, STREAM_SECONDS, *queries)
        stored = store_steadily(bench.store, FILTERED_RATE, STREAM_SECONDS - 3)
        figures = readers.figures()
    name = f"{FILTERS} filtered streams, {FILTERED_RATE}/s"
    note_percentiles(bench, name, figures["latencies"])
    bench.note(f"{name}: missed", stored - sum(map(len, figures["seqs"])))


# ---- much that is stored


WORDS = ["the", "order", "was", "paid", "sent", "back", "by", "customer", "in", "stock", "late", "early"]
TYPES = ["shop.order", "shop.payment", "shop.shipment", "fanout.greeting", "user.login", "user.logout"]
TENANTS = ["acme", "globex", "initech", "umbrella", "hooli"]
ORIGINALS = 10_000

# Each copy has an id of its own, and is found by it.
COPY = """
    INSERT INTO messages (queue, identity, content, source, id, type, time, body, preview, color, sequence,
                          size, message_id, receive_count, attributes, sent_at, received_at, terms)
    SELECT queue, sha256(new.id::bytea), content, source, new.id, type, time + copy * interval '1 ms',
           replace(body, m.id, new.id), preview, color, sequence, size, message_id, receive_count,
           attributes, sent_at, received_at,
           ts_delete(terms, ARRAY[m.id, 'id=' || m.id]) || array_to_tsvector(ARRAY[new.id, 'id=' || new.id])
    FROM (SELECT * FROM messages ORDER BY seq LIMIT {originals}) AS m,
         generate_series({first}, {last}) AS copy, LATERAL (SELECT md5(m.id || copy) AS id) AS new"""

SEARCHES = {
    "a rare word": "zebra",
    "a common word": "order",
    "two words": "late zebra",
    "no such word": "unicorn",
    "the beginning of a word": "cust",
    "a phrase": '"paid sent"',
    "a type and a word": "type:shop.order late",
    "without a word": "-paid",
    "either of two words": "zebra OR unicorn",
    "neither of two words": "-(paid OR sent)",
    "a word or a phrase": 'unicorn OR "sent zebra"',
    "a field": "order.id:4242",
    "an attribute": "attr.tenant:acme",
}


def order(number: int) -> Delivery:
    choose = random.Random(number)
    words = choose.choices(WORDS, weights=range(len(WORDS), 0, -1), k=8)
    if number % 10_000 == 4242:
        words.append("zebra")
    items = [{"sku": f"A-{choose.randint(1, 500)}", "count": choose.randint(1, 9)} for _ in range(3)]
    return arrival(
        {"text": " ".join(words), "order": {"id": number, "total": choose.random() * 100}, "items": items},
        type=choose.choices(TYPES, weights=range(len(TYPES), 0, -1))[0],
        source=f"/shop/{choose.randint(1, 5)}",
        attributes={"tenant": choose.choice(TENANTS)},
        receive_count=1 + (number % 50 == 0),
    )


def fill_store(bench: Bench, count: int) -> None:
    """Have so many stored: orders made one by one, and copies of them."""
    stored = bench.stored()
    originals = min(ORIGINALS, count)
    for first in range(stored, originals, 1000):
        bench.store.add([order(number) for number in range(first, min(first + 1000, originals))])
    first, last = max(stored, originals) // originals, count // originals - 1
    with bench.store.connection(patient=True) as connection:
        # An index is built ten times faster than it grows.
        definition = connection.execute("SELECT pg_get_indexdef('messages_terms'::regclass)").fetchone()
        assert definition is not None
        connection.execute("DROP INDEX messages_terms")
        connection.execute(COPY.format(originals=originals, first=first, last=last))
        connection.execute(definition[0])
        connection.execute("VACUUM ANALYZE messages")


def measure_stored(bench: Bench, browser: Browser, count: int) -> None:
    fill_store(bench, count)
    name = f"{bench.stored():,} stored"
    with viewer(bench) as service:
        for _ in range(3):
            page = open_page(browser, service)
            bench.note(f"{name}: first paint (ms)", page.evaluate(FIRST_PAINT))
            bench.note(f"{name}: interactive (ms)", page.evaluate("ready"))
            page.context.close()
        bench.note(f"{name}: list (kB)", len(service.get("/api/messages").content) / 1000)
        bench.note(f"{name}: first page (ms)", time_of(service, "/"))
        bench.note(f"{name}: list (ms)", time_of(service, "/api/messages"))
        bench.note(f"{name}: facets (ms)", time_of(service, "/api/messages/facets"))
        for what, query in SEARCHES.items():
            bench.note(f"{name}: search, {what} (ms)", time_of(service, "/api/messages", q=query))


def time_of(service: Service, path: str, **parameters: str) -> float:
    """Return the median of five answers, in milliseconds."""
    times = []
    with requests.Session() as session:
        for _ in range(5):
            began = time.monotonic()
            session.get(service.url + path, params=parameters, timeout=60).raise_for_status()
            times.append(time.monotonic() - began)
    return statistics.median(times) * 1000


# ---- all of it


def table(bench: Bench) -> str:
    rows = [
        ("published to seen in the page, 10/s: p95 (ms)", "< 100"),
        ("published to stream, 10/s: p95 (ms)", "< 100"),
        ("flood: neither shown nor in a stated gap", "0"),
        ("flood: longest task (ms)", "< 100"),
        ("flood: growth of the heap (MiB)", "< 50"),
        ("1,000 streams: memory (MiB)", "< 100"),
        ("1,000 streams: failed", "0"),
        ("10,000 streams: p99 (ms)", "< 300"),
        ("10,000 streams: memory (MiB)", "< 300"),
        ("10,000 streams: failed", "0"),
        ("100,000 stored: first paint (ms)", "< 300"),
        ("100,000 stored: interactive (ms)", "< 500"),
        ("100,000 stored: list (kB)", "< 50"),
        ("100,000 stored: slowest search (ms)", "< 100"),
        ("1,000,000 stored: first page (ms)", "< 50"),
        ("1,000,000 stored: slowest search (ms)", "< 200"),
    ]
    for count in STORED:
        searches = [name for name in bench.figures if name.startswith(f"{count:,} stored: search")]
        slowest = max(map(bench.median, searches))
        bench.figures[f"{count:,} stored: slowest search (ms)"] = [slowest]
    return goals([(name, bench.median(name), goal) for name, goal in rows if name in bench.figures])


def main() -> None:
    with open_bench() as bench, sync_playwright() as playwright:
        browser = start_chromium(playwright)
        measure_latency(bench, browser)
        measure_flood(bench, browser)
        for streams in STREAMS:
            measure_streams(bench, streams)
        measure_filters(bench)
        bench.empty_store()
        for count in STORED:
            measure_stored(bench, browser, count)
        browser.close()
    measured = markdown("in detail | figure", [(n, f"{bench.median(n):.4g}") for n in bench.figures])
    what = f"`make bench-viewer` {where()}. A flood is {FLOOD_RATE} messages/s for {FLOOD_SECONDS} s."
    write_section("The viewer", f"{what}\n\n{table(bench)}\n\n{measured}")


if __name__ == "__main__":
    main()

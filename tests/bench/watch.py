"""`make bench-watch`: how soon an endpoint with many topics is watched, and its messages are seen.

Everything is real: LocalStack has the topics and their subscriptions, the page runs in Chromium. The table is
also written to docs/benchmark.md.
"""

import functools
import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from playwright.sync_api import Page, sync_playwright

from consumer.untap import remove_tap
from local.process import stop_all
from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import in_parallel, list_subscriptions
from tests.bench.report import goals, percentiles, where, write_section
from tests.bench.setup import Bench, open_bench
from tests.bench.viewer import NOTE_WHEN_SEEN, open_page, viewer
from tests.support.browser import start_chromium
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.services import Service
from tests.support.waiting import wait_for

TOPICS = int(os.environ.get("BENCH_TOPICS", "100"))
SUBSCRIPTIONS_EACH = 3
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_LATENCY_SECONDS", "30"))
RATE = 10
TAP = "fanout-tap"


def create_endpoint() -> Sequence[str]:
    """Return the topics of somebody else, each with subscriptions, most of them with a filter policy."""
    queues = in_parallel(create_queue, [f"queue-{number:02}" for number in range(SUBSCRIPTIONS_EACH * 10)])
    topics = in_parallel(create_topic, [f"topic-{number:03}" for number in range(TOPICS)])
    for number in range(SUBSCRIPTIONS_EACH):
        policy = {"FilterPolicy": {"region": [("eu", "us")[number % 2]]}} if number else {}
        leading = functools.partial(_subscribe, policy)
        in_parallel(
            leading, [(topic, queues[(at + number * 10) % len(queues)]) for at, topic in enumerate(topics)]
        )
    return topics


def _subscribe(policy: Mapping[str, Any], pair: tuple[str, str]) -> str:
    return subscribe(*pair, **policy)


def measure_tapping(bench: Bench, environment: dict[str, str]) -> None:
    """Note how long it takes from the start of a consumer until it watches every topic."""
    for _ in range(ROUNDS):
        began = time.monotonic()
        service = bench.start("consumer", environment)
        wait_for(lambda: len(tapped()) == TOPICS, 60, "all topics tapped")
        bench.note("all topics tapped (s)", time.monotonic() - began)
        stop_all([service.process], 10)
        remove_tap(sns_client(10), sqs_client(10), TAP)


def tapped() -> list[str]:
    listed = list_subscriptions(sns_client(10))
    return [one.topic_name for one in listed if one.queue and one.queue.name == TAP]


def measure_topology(bench: Bench, service: Service) -> None:
    """Note how long a view of the topology takes, while it is read, and how long reading all of it does."""
    started = time.monotonic()
    for _ in range(ROUNDS):
        began = time.monotonic()
        service.get("/api/topology").raise_for_status()
        bench.note("first view of the topology (ms)", (time.monotonic() - began) * 1000)

    def is_whole() -> bool:
        topics = service.get("/api/topology").json()["topics"]
        read = [one["read_at"] for topic in topics for one in topic["subscriptions"]]
        return len(topics) == TOPICS and all(read)

    wait_for(is_whole, 60, "all attributes read")
    bench.note("topology read with all attributes (s)", time.monotonic() - started)
    began = time.monotonic()
    service.get("/api/topology").raise_for_status()
    bench.note("view of the whole topology (ms)", (time.monotonic() - began) * 1000)


def measure_latency(bench: Bench, page: Page, topics: Sequence[str]) -> None:
    """Note how long it takes from published to seen in the page, spread over all topics."""
    page.evaluate(NOTE_WHEN_SEEN)
    sns: Any = sns_client(10)
    began = time.monotonic()
    for number in range(RATE * SECONDS):
        sns.publish(TopicArn=random.choice(topics), Message=f"message {number}")
        page.wait_for_timeout(max(0.0, began + (number + 1) / RATE - time.monotonic()) * 1000)
    # A function: the policy of the page does not allow a text to be evaluated again and again.
    page.wait_for_function(f"() => seen.length >= {RATE * SECONDS}")
    cuts = percentiles(page.evaluate("seen"))
    for percent in (50, 95, 99):
        bench.note(f"published to seen in the page, {RATE}/s: p{percent} (ms)", cuts[percent - 1] * 1000)


def main() -> None:
    """Measure, print and write the table."""
    with open_bench() as bench, sync_playwright() as playwright:
        os.environ["AWS_ACCESS_KEY_ID"] = "test"
        topics = create_endpoint()
        environment = {**bench.aws, "WATCH": "*", "WATCH_ONLY": "1", "TAP_NAME": TAP, "LOG_LEVEL": "WARNING"}
        measure_tapping(bench, environment)
        bench.start("consumer", environment)
        wait_for(lambda: len(tapped()) == TOPICS, 60, "all topics tapped")
        browser = start_chromium(playwright)
        with viewer(bench, {**bench.aws, "QUEUE_NAME": TAP}) as service:
            measure_topology(bench, service)
            measure_latency(bench, open_page(browser, service), topics)
        browser.close()
        name = f"{TOPICS} topics, {TOPICS * SUBSCRIPTIONS_EACH} subscriptions"
        seen = f"published to seen in the page, {RATE}/s"
        rows = [
            (f"{name}: all tapped, from the start (s)", bench.median("all topics tapped (s)"), "< 5"),
            (
                f"{name}: first view of the topology (ms)",
                max(bench.figures["first view of the topology (ms)"]),
                "< 500",
            ),
            (
                f"{name}: view of the whole topology (ms)",
                bench.median("view of the whole topology (ms)"),
                "< 500",
            ),
            (f"{name}: {seen}, p95 (ms)", bench.median(f"{seen}: p95 (ms)"), "< 250"),
        ]
        write_section("Watching", f"Measured {where()}.\n\n{goals(rows)}")


if __name__ == "__main__":
    main()

"""`make bench-pipeline`: how fast it is, beside a bare boto3 loop, on the real LocalStack, all in one run.

Rounds alternate between the two, so that whatever else the machine does meets both; medians are printed.
The table is also written to docs/benchmark.md.
"""

import os
import re
import resource
import sys
import time
from collections.abc import Callable

from local.process import stop_all
from tests.bench.report import details, goals, percentiles, where, write_section
from tests.bench.setup import Bench, fill, open_bench
from tests.support.services import Service
from tests.support.waiting import wait_for

BACKLOG = int(os.environ.get("BENCH_MESSAGES", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RATE_SECONDS = 8
LATENCY_MESSAGES = {1: 20, 100: 1000}


def bare_loop(count: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.bare_consumer", str(count), *options]


def cpu_of(run: Callable[[], Service]) -> tuple[Service, float]:
    """Run until the process has ended; return it and the CPU seconds it took, its start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    service = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return service, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def drain_bare(bench: Bench) -> None:
    """Receive ten, delete ten, store nothing."""
    environment = bench.new_queue()
    fill(environment, BACKLOG)

    def run() -> Service:
        bare = bench.start("bare", environment, bare_loop(BACKLOG))
        bare.process.wait(600)
        return bare

    bare, cpu = cpu_of(run)
    seconds = float(bare.log().split()[-1])
    bench.note("drain, bare boto3 (messages/s)", BACKLOG / seconds)
    bench.note("CPU, bare boto3 (s/1,000)", cpu / BACKLOG * 1000)


def drain_ours(bench: Bench) -> None:
    environment = bench.new_queue()
    fill(environment, BACKLOG)
    bench.empty_store()
    figures: dict[str, float] = {}

    def run() -> Service:
        consumer = bench.start("consumer", environment)
        wait_for(lambda: bench.stored() > 0, seconds=30)
        began, first = time.monotonic(), bench.stored()
        bench.wait_until_stored(BACKLOG)
        figures["rate"] = (BACKLOG - first) / (time.monotonic() - began)
        counted = requests_by_operation(consumer)
        for operation in ("ReceiveMessage", "DeleteMessageBatch"):
            figures[operation] = counted.get(operation, 0) / BACKLOG
        stop_all([consumer.process], 10)
        return consumer

    _, cpu = cpu_of(run)
    bench.note("drain, ours, storing durably (messages/s)", figures["rate"])
    bench.note("CPU, ours (s/1,000)", cpu / BACKLOG * 1000)
    bench.note("requests to receive (per message)", figures["ReceiveMessage"])
    bench.note("requests to delete (per message)", figures["DeleteMessageBatch"])


def requests_by_operation(service: Service) -> dict[str, float]:
    text = service.get("/metrics").text
    found = re.findall(r'fanout_aws_requests_total\{operation="(\w+)"\} ([\d.]+)', text)
    return {operation: float(count) for operation, count in found}


def publish_fast(bench: Bench) -> None:
    environment = bench.new_queue()
    producer = bench.start("producer", {**environment, "RATE_PER_SECOND": "10000"})
    wait_for(lambda: "published" in producer.log(), seconds=30)
    first, began = producer.log().count('"published"'), time.monotonic()
    time.sleep(RATE_SECONDS)  # this is what is measured
    published, seconds = producer.log().count('"published"'), time.monotonic() - began
    sent = requests_by_operation(producer).get("PublishBatch", 0)
    stop_all([producer.process], 5)
    bench.note("publishing (messages/s)", (published - first) / seconds)
    bench.note("requests to publish (per message)", sent / published)


def latency(bench: Bench, rate: int) -> None:
    """From publishing to the receipt of a bare receiver, and to the store of ours."""
    count = LATENCY_MESSAGES[rate]
    environment = bench.new_queue()
    bare = bench.start("bare", environment, bare_loop(count, "--latency"))
    producer = bench.start("producer", {**environment, "RATE_PER_SECOND": str(rate)})
    bare.process.wait(120)
    stop_all([producer.process], 5)
    _note_percentiles(bench, f"bare receiver, {rate}/s", [float(v) for v in bare.log().split()])

    environment = bench.new_queue()
    bench.empty_store()
    consumer = bench.start("consumer", environment)
    fill(environment, 10)
    bench.wait_until_stored(10)  # it polls, so that its start is not measured
    bench.empty_store()
    producer = bench.start("producer", {**environment, "RATE_PER_SECOND": str(rate)})
    bench.wait_until_stored(count)
    stop_all([producer.process, consumer.process], 5)
    with bench.store.connection() as connection:
        query = """SELECT extract(epoch FROM stored_at - event_time)::float8
                   FROM messages ORDER BY seq LIMIT %s"""
        _note_percentiles(bench, f"stored, {rate}/s", [row[0] for row in connection.execute(query, [count])])


def _note_percentiles(bench: Bench, name: str, seconds: list[float]) -> None:
    cuts = percentiles(seconds)
    bench.note(f"p50 latency, {name} (ms)", cuts[49] * 1000)
    bench.note(f"p99 latency, {name} (ms)", cuts[98] * 1000)


def table(bench: Bench) -> str:
    median = bench.median
    drain = median("drain, ours, storing durably (messages/s)") / median("drain, bare boto3 (messages/s)")
    cpu = median("CPU, ours (s/1,000)") / median("CPU, bare boto3 (s/1,000)")
    asked = median("requests to receive (per message)") + median("requests to delete (per message)")
    p99, p99_bare = (median(f"p99 latency, {what}, 100/s (ms)") for what in ("stored", "bare receiver"))
    rows = [
        ("drain: ours / bare boto3", drain, "≥ 1.0"),
        ("CPU of the consumer: ours / bare boto3", cpu, ""),
        ("CPU of the consumer (s per 1,000 messages)", median("CPU, ours (s/1,000)"), "≤ 0.35"),
        ("requests to receive and delete (per message)", asked, "≤ 0.21"),
        ("requests to publish (per message)", median("requests to publish (per message)"), "≤ 0.11"),
        ("p99 latency beyond the emulator's own, 100/s (ms)", p99 - p99_bare, "≤ 50"),
    ]
    return f"{goals(rows)}\n\n{details(bench)}"


def main() -> None:
    with open_bench() as bench:
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", flush=True)
            drain_bare(bench)
            drain_ours(bench)
            publish_fast(bench)
            for rate in LATENCY_MESSAGES:
                latency(bench, rate)
    write_section(
        "The pipeline",
        f"`make bench-pipeline` {where()}. Backlogs of {BACKLOG:,} messages, medians of {ROUNDS} rounds.\n\n"
        f"{table(bench)}",
    )


if __name__ == "__main__":
    main()

"""`make bench`: how fast it is, beside a bare boto3 loop, on the real LocalStack; all figures from one run.

Rounds alternate between the two, so that whatever else the machine does meets both; medians are printed.
The table is also written to BENCHMARK.md.
"""

import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from local.emulators import ROOT, aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process, python_module, stop_all
from pipeline.aws import Topic, sns_client
from pipeline.message import new_message
from pipeline.store import Store
from tests.conftest import free_port, open_folder, wait_for

BACKLOG = int(os.environ.get("BENCH_MESSAGES", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RATE_SECONDS = 8
LATENCY_MESSAGES = {1: 20, 100: 1000}


@dataclass
class Bench:
    """The parts that every measurement uses."""

    folder: Path
    database_url: str
    store: Store
    aws: Mapping[str, str]
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)
        print(f"  {name}: {value:.4g}", flush=True)

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])

    def new_queue(self) -> dict[str, str]:
        """Create a topic and a queue, and return the variables that lead there."""
        suffix = uuid.uuid4().hex[:8]
        environment = {**self.aws, "TOPIC_NAME": f"topic-{suffix}", "QUEUE_NAME": f"queue-{suffix}"}
        create_resources(environment)
        return environment

    def start(self, name: str, environment: Mapping[str, str], command: list[str] | None = None) -> Process:
        port = str(free_port())
        log_file = self.folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
        log_file.touch()
        more = {"PORT": port, "HOST": "127.0.0.1", "DATABASE_URL": self.database_url}
        process = Process(
            name,
            command or python_module(name),
            log_file=log_file,
            environment={**environment, **more},
        )
        process.url = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
        return process

    def stored(self) -> int:
        with self.store.connection() as connection:
            row = connection.execute("SELECT count(*) FROM messages").fetchone()
            return int(row[0]) if row else 0

    def wait_until_stored(self, count: int) -> None:
        """Look ten times a second only: counting costs the database what it should spend on storing."""
        while self.stored() < count:
            time.sleep(0.1)

    def empty_store(self) -> None:
        with self.store.connection() as connection:
            connection.execute("TRUNCATE messages CASCADE")


def fill(environment: Mapping[str, str], count: int) -> None:
    topic = Topic(sns_client(), environment["TOPIC_NAME"])
    data = {"text": "Hello world", "color": "#7cc4ff"}
    batches = [
        [new_message("/bench", "bench", {**data, "sequence": start + n}) for n in range(10)]
        for start in range(0, count, 10)
    ]
    assert topic.arn
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(topic.publish, batches))


def bare_loop(count: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.bare_consumer", str(count), *options]


def cpu_of(run: Callable[[], Process]) -> tuple[Process, float]:
    """Run until the process has ended; return it and the CPU seconds it took, its start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def drain_bare(bench: Bench) -> None:
    """Receive ten, delete ten, store nothing."""
    environment = bench.new_queue()
    fill(environment, BACKLOG)

    def run() -> Process:
        process = bench.start("bare", environment, bare_loop(BACKLOG))
        process.wait(600)
        return process

    process, cpu = cpu_of(run)
    seconds = float(process.log_file.read_text().split()[-1])
    bench.note("drain, bare boto3 (messages/s)", BACKLOG / seconds)
    bench.note("CPU, bare boto3 (s/1,000)", cpu / BACKLOG * 1000)


def drain_ours(bench: Bench) -> None:
    environment = bench.new_queue()
    fill(environment, BACKLOG)
    bench.empty_store()
    figures: dict[str, float] = {}

    def run() -> Process:
        process = bench.start("consumer", environment)
        wait_for(lambda: bench.stored() > 0, seconds=30)
        began, first = time.monotonic(), bench.stored()
        bench.wait_until_stored(BACKLOG)
        figures["rate"] = (BACKLOG - first) / (time.monotonic() - began)
        counted = requests_by_operation(process)
        for operation in ("ReceiveMessage", "DeleteMessageBatch"):
            figures[operation] = counted.get(operation, 0) / BACKLOG
        stop_all([process], 10)
        return process

    _, cpu = cpu_of(run)
    bench.note("drain, ours, storing durably (messages/s)", figures["rate"])
    bench.note("CPU, ours (s/1,000)", cpu / BACKLOG * 1000)
    bench.note("requests to receive (per message)", figures["ReceiveMessage"])
    bench.note("requests to delete (per message)", figures["DeleteMessageBatch"])


def requests_by_operation(process: Process) -> dict[str, float]:
    text = requests.get(f"{process.url}/metrics", timeout=5).text  # type: ignore[attr-defined]
    found = re.findall(r'fanout_aws_requests_total\{operation="(\w+)"\} ([\d.]+)', text)
    return {operation: float(count) for operation, count in found}


def publish_fast(bench: Bench) -> None:
    environment = bench.new_queue()
    process = bench.start("producer", {**environment, "RATE_PER_SECOND": "10000"})
    wait_for(lambda: "published" in process.log_file.read_text(), seconds=30)
    first, began = process.log_file.read_text().count('"published"'), time.monotonic()
    time.sleep(RATE_SECONDS)  # this is what is measured
    published, seconds = process.log_file.read_text().count('"published"'), time.monotonic() - began
    sent = requests_by_operation(process).get("PublishBatch", 0)
    stop_all([process], 5)
    bench.note("publishing (messages/s)", (published - first) / seconds)
    bench.note("requests to publish (per message)", sent / published)


def latency(bench: Bench, rate: int) -> None:
    """From publishing to the receipt of a bare receiver, and to the store of ours."""
    count = LATENCY_MESSAGES[rate]
    environment = bench.new_queue()
    bare = bench.start("bare", environment, bare_loop(count, "--latency"))
    producer = bench.start("producer", {**environment, "RATE_PER_SECOND": str(rate)})
    bare.wait(120)
    stop_all([producer], 5)
    _note_percentiles(
        bench, f"bare receiver, {rate}/s", [float(v) for v in bare.log_file.read_text().split()]
    )

    environment = bench.new_queue()
    bench.empty_store()
    consumer = bench.start("consumer", environment)
    fill(environment, 10)
    bench.wait_until_stored(10)  # it polls, so that its start is not measured
    bench.empty_store()
    producer = bench.start("producer", {**environment, "RATE_PER_SECOND": str(rate)})
    bench.wait_until_stored(count)
    stop_all([producer, consumer], 5)
    with bench.store.connection() as connection:
        query = "SELECT extract(epoch FROM stored_at - time)::float8 FROM messages ORDER BY seq LIMIT %s"
        _note_percentiles(bench, f"stored, {rate}/s", [row[0] for row in connection.execute(query, [count])])


def _note_percentiles(bench: Bench, name: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    bench.note(f"p50 latency, {name} (ms)", cuts[49] * 1000)
    bench.note(f"p99 latency, {name} (ms)", cuts[98] * 1000)


def table(bench: Bench) -> str:
    median = bench.median
    drain = median("drain, ours, storing durably (messages/s)") / median("drain, bare boto3 (messages/s)")
    asked = median("requests to receive (per message)") + median("requests to delete (per message)")
    p99, p99_bare = (median(f"p99 latency, {what}, 100/s (ms)") for what in ("stored", "bare receiver"))
    rows = [
        ("drain: ours / bare boto3", drain, "≥ 1.0"),
        ("CPU of the consumer (s per 1,000 messages)", median("CPU, ours (s/1,000)"), "≤ 0.35"),
        ("requests to receive and delete (per message)", asked, "≤ 0.21"),
        ("requests to publish (per message)", median("requests to publish (per message)"), "≤ 0.11"),
        ("p99 latency beyond the emulator's own, 100/s (ms)", p99 - p99_bare, "≤ 50"),
    ]
    lines = ["| measure | figure | goal |", "| --- | --- | --- |"]
    lines += [f"| {name} | {value:.3g} | {goal} |" for name, value, goal in rows]
    lines += ["", "| in detail | median | rounds |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {statistics.median(values):.4g} | {', '.join(f'{value:.4g}' for value in values)} |"
        for name, values in bench.figures.items()
    ]
    return "\n".join(lines)


def description() -> str:
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"`make bench` at {commit or 'no commit'}, on {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, LocalStack 4.14.0 and PostgreSQL on the "
        f"same machine. Backlogs of {BACKLOG:,} messages, medians of {ROUNDS} rounds."
    )


def main() -> None:
    with TemporaryDirectory(prefix="fanout-bench-") as name, open_folder() as database_folder:
        port, folder = free_port(), Path(name)
        localstack = start_emulator("localstack", port, folder / "localstack")
        postgres = Postgres(database_folder)
        database = postgres.start()
        os.environ.update(aws_environment(port))
        store = Store(postgres.url)
        store.create_schema()
        bench = Bench(folder, postgres.url, store, aws_environment(port))
        try:
            for number in range(ROUNDS):
                print(f"round {number + 1} of {ROUNDS}", flush=True)
                drain_bare(bench)
                drain_ours(bench)
                publish_fast(bench)
                for rate in LATENCY_MESSAGES:
                    latency(bench, rate)
        finally:
            store.close()
            stop_all([localstack], 2)
            stop_all([database], 5)
    text = f"# Benchmark\n\n{description()}\n\n{table(bench)}\n"
    (ROOT / "BENCHMARK.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

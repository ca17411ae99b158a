"""`make bench-pipeline`: how fast it is, beside a bare boto3 loop, on the real LocalStack, all in one run.

Rounds alternate between the two, so that whatever else the machine does meets both; medians are printed.
The table is also written to docs/benchmark.md.
"""

import contextlib
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from local.emulators import ROOT, aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process, python_module, stop_all
from pipeline.aws import Topic, sns_client
from pipeline.message import new_message
from pipeline.store import Store
from tests.conftest import Service, free_port, open_folder, wait_for

BACKLOG = int(os.environ.get("BENCH_MESSAGES", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RATE_SECONDS = 8
LATENCY_MESSAGES = {1: 20, 100: 1000}
TIMES_AT_START = psutil.cpu_times()


@dataclass
class Bench:
    """The parts that every measurement uses."""

    folder: Path
    database_url: str
    store: Store
    aws: Mapping[str, str]
    figures: dict[str, list[float]] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

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

    def start(self, name: str, environment: Mapping[str, str], command: list[str] | None = None) -> Service:
        """Start a service, or a command of ours, on this database."""
        port = free_port()
        log_file = self.folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
        log_file.touch()
        more = {"PORT": str(port), "HOST": "127.0.0.1", "DATABASE_URL": self.database_url}
        process = Process(
            name,
            command or python_module(name),
            log_file=log_file,
            environment={**environment, **more},
        )
        self.started.append(process)
        return Service(process, port)

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
        query = "SELECT extract(epoch FROM stored_at - time)::float8 FROM messages ORDER BY seq LIMIT %s"
        _note_percentiles(bench, f"stored, {rate}/s", [row[0] for row in connection.execute(query, [count])])


def _note_percentiles(bench: Bench, name: str, seconds: list[float]) -> None:
    cuts = percentiles(seconds)
    bench.note(f"p50 latency, {name} (ms)", cuts[49] * 1000)
    bench.note(f"p99 latency, {name} (ms)", cuts[98] * 1000)


def percentiles(values: Sequence[float]) -> list[float]:
    """Return the 99 values that cut these into hundredths; the 95th percentile is at 94."""
    return statistics.quantiles(values, n=100, method="inclusive")


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


def goals(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return the table of measures with their goals."""
    return markdown("measure | figure | goal", [(name, f"{value:.3g}", goal) for name, value, goal in rows])


def details(bench: Bench) -> str:
    """Return the table of all that was noted."""
    return markdown(
        "in detail | median | rounds",
        [
            (name, f"{bench.median(name):.4g}", ", ".join(f"{value:.4g}" for value in values))
            for name, values in bench.figures.items()
        ],
    )


def markdown(heads: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, " | ".join("---" for _ in heads.split(" | ")), *map(" | ".join, rows)]
    return "\n".join(f"| {line} |" for line in lines)


def where() -> str:
    """Return which commit was measured, and on what."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"at {commit or 'no commit'}, on {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, LocalStack 4.14.0 and PostgreSQL on the same machine; "
        f"its host kept {stolen_share():.0%} of their time for others meanwhile"
    )


def stolen_share() -> float:
    """Return the share of CPU time since the start that a virtual machine was not given though it asked."""
    passed = [now - then for now, then in zip(psutil.cpu_times(), TIMES_AT_START, strict=True)]
    stolen: float = dict(zip(TIMES_AT_START._fields, passed, strict=True)).get("steal", 0.0)
    return stolen / sum(passed)


def write_section(title: str, text: str) -> None:
    """Put this section into docs/benchmark.md, in place of the one of the same title."""
    file = ROOT / "docs" / "benchmark.md"
    head, *sections = re.split(r"^## ", file.read_text(), flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: section for section in sections}
    kept[title] = f"{title}\n\n{text}\n\n"
    file.write_text("## ".join([head, *kept.values()]).rstrip("\n") + "\n")
    print(f"\n{text}")


@contextlib.contextmanager
def open_bench() -> Iterator[Bench]:
    """Start LocalStack and PostgreSQL; at the end stop them and remove all they wrote."""
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
            yield bench
        finally:
            stop_all(bench.started, 5)
            store.close()
            stop_all([localstack], 2)
            stop_all([database], 5)


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

"""What every measurement stands on: LocalStack, PostgreSQL, and what it noted."""

import contextlib
import os
import statistics
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from local.emulators import aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process, python_module, stop_all
from pipeline.aws import Topic, sns_client
from pipeline.message import new_message
from tests.support.ports import free_port
from tests.support.postgres import open_folder
from tests.support.services import Service
from tests.support.stores import Store


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


@contextlib.contextmanager
def open_bench() -> Iterator[Bench]:
    """Start LocalStack and PostgreSQL; at the end stop them and remove all they wrote."""
    with TemporaryDirectory(prefix="fanout-bench-") as name, open_folder(durable=True) as database_folder:
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

"""The system under attack: an emulator, PostgreSQL and the services, as processes like in `make run`."""

import contextlib
import itertools
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from local.emulators import aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process, python_module, stop_all
from pipeline.aws import MAX_BATCH, MAX_BATCH_BYTES, sqs_client
from tests.attack.watch import Watch
from tests.support.ports import free_port
from tests.support.postgres import open_folder
from tests.support.services import LOOPBACK_SERVICE, Service
from tests.support.stores import Store

TOKEN = uuid.uuid4().hex  # of a viewer that has one
# A message that fails dies soon, so that an attack does not take minutes.
QUEUE = {"MAX_RECEIVE_COUNT": "3", "RETRY_SECONDS": "0"}
PAGE = "/api/messages?limit=20"

Entry = dict[str, Any]  # what SendMessage takes, apart from the queue


@dataclass
class System:
    """What an attack can reach, and how it looks at what it did."""

    emulator: str
    share: float
    folder: Path
    environment: Mapping[str, str]
    store: Store
    watch: Watch
    aws: Process
    viewer: Service = field(init=False)
    processes: list[Process] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def size(self, full: int, least: int = 1) -> int:
        """Return how many of `full` inputs this run tries."""
        return max(least, round(full * self.share))

    @property
    def queue_name(self) -> str:
        """The queue of the consumer."""
        return self.environment["QUEUE_NAME"]

    # ---- services

    def start(self, name: str, label: str | None = None, **settings: str) -> Service:
        """Start a service and watch it as `label` until `stop`."""
        port, label = free_port(), label or name
        process = Process(
            name,
            python_module(name),
            log_file=self.folder / f"{label}-{next(self._numbers)}.log",
            environment={**LOOPBACK_SERVICE, **self.environment, **settings, "PORT": str(port)},
        )
        self.processes.append(process)
        service = Service(process, port)
        process.wait_until(service.is_ready, 60)
        page = PAGE if name == "viewer" and "VIEWER_TOKEN" not in settings else None
        self.watch.add(label, process.pid, service.url, page)
        return service

    @contextlib.contextmanager
    def another(self, name: str, label: str, **settings: str) -> Iterator[Service]:
        """Start a further service for one attack."""
        service = self.start(name, label, **settings)
        try:
            yield service
        finally:
            self.watch.remove(label)
            stop_all([service.process], 5)

    def restart_emulator(self) -> None:
        """Kill the emulator, which forgets everything, and start it anew with the same resources, empty."""
        self.aws.kill()
        self.aws.wait(5)
        port = int(self.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        self.aws = start_emulator(self.emulator, port, self.folder / "aws")
        create_resources(dict(self.environment))

    # ---- the queue

    def new_queue(self) -> dict[str, str]:
        """Create a topic and a queue of their own; return the settings that lead there."""
        settings = _new_names()
        create_resources({**self.environment, **settings})
        return settings

    def send(self, entries: Sequence[Entry], queue_name: str | None = None) -> list[str | None]:
        """Put these messages on the queue; return the SQS id of each, None for one that SQS refused."""
        sqs = sqs_client(30)
        url = sqs.get_queue_url(QueueName=queue_name or self.queue_name)["QueueUrl"]

        def send_batch(batch: list[tuple[int, Entry]]) -> dict[int, str]:
            try:
                answer = sqs.send_message_batch(
                    QueueUrl=url,
                    Entries=[{"Id": str(number), **entry} for number, entry in batch],  # type: ignore[typeddict-item]
                )
            except Exception:  # noqa: BLE001 - one that SQS cannot parse makes it refuse the others
                if len(batch) == 1:
                    return {}
                return {number: sent for one in batch for number, sent in send_batch([one]).items()}
            return {int(one["Id"]): one["MessageId"] for one in answer.get("Successful", [])}

        ids: dict[int, str] = {}
        with ThreadPoolExecutor(4) as pool:
            for sent in pool.map(send_batch, _batches(entries)):
                ids |= sent
        return [ids.get(number) for number in range(len(entries))]

    def left_in_queue(self) -> int:
        """Return about how many messages the queue holds."""
        sqs = sqs_client(10)
        url = sqs.get_queue_url(QueueName=self.queue_name)["QueueUrl"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumberOf"))

    # ---- the store

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the store."""
        with self.store.connection() as connection:
            return connection.execute(query.encode(), values).fetchall()


def _new_names() -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    return {"TOPIC_NAME": f"topic-{suffix}", "QUEUE_NAME": f"queue-{suffix}"}


def _batches(entries: Sequence[Entry]) -> Iterator[list[tuple[int, Entry]]]:
    """Cut into batches that SQS takes: ten entries, and no more bytes than a single message may have."""
    batch: list[tuple[int, Entry]] = []
    size = 0
    for number, entry in enumerate(entries):
        length = len(repr(entry).encode("utf-8", "surrogatepass"))
        if batch and (len(batch) == MAX_BATCH or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, entry))
        size += length
    if batch:
        yield batch


@contextlib.contextmanager
def open_system(emulator: str, share: float) -> Iterator[System]:
    """Start everything; at the end stop it and remove all that it wrote."""
    with TemporaryDirectory(prefix="fanout-attack-") as name, open_folder() as database_folder:
        port, folder = free_port(), Path(name)
        aws = start_emulator(emulator, port, folder / "aws")
        postgres = Postgres(database_folder)
        database = postgres.start()
        environment = {**aws_environment(port), **QUEUE, **_new_names(), "DATABASE_URL": postgres.url}
        os.environ.update(environment)
        create_resources(environment)
        store = Store(postgres.url)
        store.create_schema()
        system = System(emulator, share, folder, environment, store, Watch(), aws)
        try:
            system.viewer = system.start("viewer")
            system.start("consumer", "consumer")
            system.start("consumer", "second consumer")
            system.start("producer", RATE_PER_SECOND="2")
            yield system
        finally:
            system.watch.close()
            stop_all(system.processes, 5)
            store.close()
            stop_all([system.aws], 2)
            stop_all([database], 5)

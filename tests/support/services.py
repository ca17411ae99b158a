"""Our services: as processes of their own, or the viewer within the test's process."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from pydantic import SecretStr

from local.emulators import aws_environment
from local.process import Process, python_module, stop_all
from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.health import Health
from pipeline.store.reader import Reader
from tests.support.ports import closed_port, free_port
from tests.support.postgres import open_database
from tests.support.stores import Store
from viewer.app import create_app
from viewer.aws.topology_keeper import TopologyKeeper
from viewer.databases import open_databases
from viewer.live.hub import Hub
from viewer.live.matcher import Matcher
from viewer.live.tail import Tail
from viewer.settings import ViewerSettings

# A short poll lets a consumer stop at once.
LOOPBACK_SERVICE = {"HOST": "127.0.0.1", "LOG_FORMAT": "json", "WAIT_TIME_SECONDS": "1"}


@dataclass
class Service:
    """A service of ours as a process of its own, reached as its users reach it."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **options)

    def answers(self) -> bool:
        try:
            return self.get("/health").status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def is_ready(self) -> bool:
        try:
            return self.get("/health?probe=readiness").status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def log(self) -> str:
        return self.process.log_file.read_text() if self.process.log_file.exists() else ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service: `start("consumer", environment)` waits until it is ready, unless told otherwise."""
    with open_starter(tmp_path) as start:
        yield start


@contextlib.contextmanager
def open_starter(folder: Path) -> Iterator[Callable[..., Service]]:
    started: list[Process] = []

    def start(
        name: str, environment: Mapping[str, str], *, wait: bool = True, port: int | None = None, **more: str
    ) -> Service:
        port = port or free_port()
        process = Process(
            name,
            python_module(name),
            log_file=folder / f"{name}-{len(started)}.log",
            environment={**LOOPBACK_SERVICE, **environment, **more, "PORT": str(port)},
        )
        started.append(process)
        service = Service(process, port)
        if wait:
            process.wait_until(service.is_ready, 30)
        return service

    try:
        yield start
    finally:
        # How they stop is what test_stopping.py is about; here it would cost a second or two for each.
        for process in started:
            process.kill()
        stop_all(started, 5)


@pytest.fixture
def open_viewer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FlaskClient]]:
    """The viewer in this process, on this store: `open_viewer(store, topic)` returns its client.

    Without a topic AWS is away: nothing listens at the endpoint.
    """
    tails: list[tuple[Tail, threading.Thread]] = []

    def open_viewer(
        store: Store, topic: str | None = None, *, topology: TopologyKeeper | None = None, **options: Any
    ) -> FlaskClient:
        if topic is None:
            for name, value in aws_environment(closed_port()).items():
                monkeypatch.setenv(name, value)
        settings = ViewerSettings(database_url=SecretStr("postgresql://given"), **options)
        stop = threading.Event()
        databases = open_databases(store.url)
        reader = Reader(store.database, databases.searches)
        hub = Hub(reader, stop, settings.heartbeat_seconds)
        tail = Tail(store.database, reader, hub, stop=stop, beat=lambda: None, queue_name=settings.queue_name)
        thread = threading.Thread(target=tail.run, daemon=True)
        thread.start()
        tails.append((tail, thread))
        for scanning in (False, True):
            matcher = Matcher(databases.matching, hub, stop, scanning=scanning)
            threading.Thread(target=matcher.run, daemon=True).start()
        health = Health(60, {"database": store.check})
        topic_of_test = Topic(sns_client(), topic or "broadcasts")
        app = create_app(
            store.database,
            reader,
            topic_of_test,
            sqs_client(5),
            topology=topology or TopologyKeeper(sns_client(), sqs_client(5), stop),
            hub=hub,
            tail=tail,
            health=health,
            settings=settings,
            stop=stop,
        )
        return app.test_client()

    yield open_viewer
    for tail, thread in tails:
        tail.stop()
        thread.join(10)


@dataclass(frozen=True)
class Viewed:
    """A viewer as a process, and the store that it shows."""

    viewer: Service
    store: Store

    @property
    def url(self) -> str:
        return self.viewer.url


@pytest.fixture(scope="session")
def shared_viewer(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """One viewer for every test that only looks: starting and stopping one for each would take minutes."""
    with (
        open_database(postgres_url) as database_url,
        open_starter(tmp_path_factory.mktemp("viewer")) as start,
    ):
        viewer = start("viewer", {"DATABASE_URL": database_url, **aws_environment(closed_port())})
        store = Store(database_url)
        yield Viewed(viewer, store)
        store.close()


@pytest.fixture
def viewed(shared_viewer: Viewed) -> Viewed:
    """The shared viewer with an empty store; AWS is away, which reading does not need."""
    requests.delete(f"{shared_viewer.url}/api/messages?all=1", timeout=10).raise_for_status()
    with shared_viewer.store.connection() as connection:
        connection.execute("TRUNCATE failures CASCADE")
    return shared_viewer

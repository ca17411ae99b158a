"""Real parts for the tests: PostgreSQL, emulators, services as processes; each test with names of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from pydantic import SecretStr

from local.emulators import RESOURCES, aws_environment, start_emulator
from local.postgres import Postgres
from local.process import Process, python_module, stop_all
from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.health import Health
from pipeline.store import Store
from viewer.app import create_app
from viewer.settings import ViewerSettings
from viewer.tail import Tail

Value = TypeVar("Value")

# A short poll lets a consumer stop at once.
LOOPBACK_SERVICE = {"HOST": "127.0.0.1", "LOG_FORMAT": "json", "WAIT_TIME_SECONDS": "1"}


def wait_for(condition: Callable[[], Value], seconds: float = 20, what: str = "the condition") -> Value:
    """Return the first true value of `condition`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell says about AWS or the services out of the tests."""
    names = (
        "DATABASE_URL",
        "TOPIC_NAME",
        "QUEUE_NAME",
        "PORT",
        "HOST",
        "MESSAGE",
        "RATE_PER_SECOND",
        "EMULATOR",
    )
    for name in os.environ:
        if name in names or name.startswith("AWS_") or name.endswith(("_PORT", "_SECONDS")):
            monkeypatch.delenv(name)


# ---- PostgreSQL


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Make a temporary folder that PostgreSQL can use, whose server is another user if we are root.

    Not one of pytest's: each of its sessions closes the folder above all of them to other users.
    """
    with tempfile.TemporaryDirectory(prefix="fanout-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with open_folder() as folder:
        server = Postgres(folder)
        process = server.start()
        yield server
        stop_all([process], 5)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """A database of the test's own."""
    yield from _database(postgres)


def _database(postgres: Postgres) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        yield postgres.url.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.create_schema()
    yield store
    store.close()


# ---- AWS


@pytest.fixture(scope="session")
def ministack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    yield from _emulator("ministack", tmp_path_factory)


@pytest.fixture(scope="session")
def localstack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    yield from _emulator("localstack", tmp_path_factory)


def _emulator(name: str, folders: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    process = start_emulator(name, port, folders.mktemp(name))
    yield port
    stop_all([process], 1)


@dataclass(frozen=True)
class Names:
    """Topic and queue of one test, created by localstack-init's file, and the variables that lead there."""

    topic: str
    queue: str
    environment: Mapping[str, str]


@pytest.fixture
def create(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Names]:
    """Create a topic and a queue with random names: `create("ministack", MAX_RECEIVE_COUNT="2")`.

    boto3 in the test's own process reaches them too.
    """

    def create(emulator: str, **settings: str) -> Names:
        port = request.getfixturevalue(f"{emulator}_port")
        suffix = uuid.uuid4().hex[:12]
        names = {"TOPIC_NAME": f"topic-{suffix}", "QUEUE_NAME": f"queue-{suffix}"}
        environment = {**aws_environment(port), **names, **settings}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        subprocess.run([sys.executable, RESOURCES], check=True, capture_output=True)
        return Names(names["TOPIC_NAME"], names["QUEUE_NAME"], environment)

    return create


@pytest.fixture(params=["ministack", "localstack"])
def emulator(request: pytest.FixtureRequest) -> str:
    """Each emulator in turn."""
    return str(request.param)


@pytest.fixture
def names(emulator: str, create: Callable[..., Names]) -> Names:
    """A topic and a queue, on each emulator in turn."""
    return create(emulator)


@pytest.fixture
def ministack(create: Callable[..., Names]) -> Names:
    """A topic and a queue on the quick emulator."""
    return create("ministack")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A self-signed certificate and its key, as settings name them; beside them a wrong and a locked key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(_pem(key, serialization.NoEncryption()))
    (folder / "locked.key").write_bytes(_pem(key, serialization.BestAvailableEncryption(b"password")))
    other = ec.generate_private_key(ec.SECP256R1())
    (folder / "other.key").write_bytes(_pem(other, serialization.NoEncryption()))
    return {"TLS_CERTFILE": str(folder / "tls.crt"), "TLS_KEYFILE": str(folder / "tls.key")}


def _pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


# ---- services


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
        except requests.ConnectionError:
            return False

    def is_ready(self) -> bool:
        try:
            return self.get("/health?probe=readiness").status_code == 200
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        return self.process.log_file.read_text() if self.process.log_file.exists() else ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service: `start("consumer", environment)` waits until it is ready, unless told otherwise."""
    yield from _starter(tmp_path)


def _starter(folder: Path) -> Iterator[Callable[..., Service]]:
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

    yield start
    stop_all(started, 5)


@pytest.fixture
def open_viewer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FlaskClient]]:
    """The viewer in this process, on this store: `open_viewer(store, topic)` returns its client.

    Without a topic AWS is away: nothing listens at the endpoint.
    """
    tails: list[tuple[Tail, threading.Thread]] = []

    def open_viewer(store: Store, topic: str | None = None, **options: Any) -> FlaskClient:
        if topic is None:
            for name, value in aws_environment(free_port()).items():
                monkeypatch.setenv(name, value)
        settings = ViewerSettings(database_url=SecretStr("postgresql://given"), **options)
        tail = Tail(store, threading.Event(), lambda: None, settings.heartbeat_seconds)
        thread = threading.Thread(target=tail.run, daemon=True)
        thread.start()
        tails.append((tail, thread))
        health = Health(60, {"database": store.check})
        topic_of_test = Topic(sns_client(), topic or "broadcasts")
        app = create_app(store, topic_of_test, sqs_client(5), tail=tail, health=health, settings=settings)
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
def shared_viewer(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewed]:
    """One viewer for every test that only looks: starting and stopping one for each would take minutes."""
    with (
        contextlib.contextmanager(_database)(postgres) as database_url,
        contextlib.contextmanager(_starter)(tmp_path_factory.mktemp("viewer")) as start,
    ):
        viewer = start("viewer", {"DATABASE_URL": database_url, **aws_environment(free_port())})
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


# ---- a browser


def start_chromium(playwright: Playwright) -> Browser:
    """Start Chromium: the system's where there is one, else Playwright's own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    flags = [
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's sandbox refuses root
    ]
    return playwright.chromium.launch(executable_path=path, args=flags)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with sync_playwright() as playwright:
        try:
            browser = start_chromium(playwright)
        except PlaywrightError as error:
            pytest.skip(f"no Chromium starts here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh browser profile; an error in its script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    # Only what fails waits for so long, and a busy machine is slow at times.
    page.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []

"""PostgreSQL: one server for the session, a database for each test."""

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import Postgres
from local.process import stop_all
from tests.support.sharing import shared
from tests.support.stores import Store

EMPTY, WITH_SCHEMA = "template0", "with_schema"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 2**30


@contextlib.contextmanager
def open_folder(*, durable: bool = False) -> Iterator[Path]:
    """Make a temporary folder that PostgreSQL can use, whose server is another user if we are root.

    Not one of pytest's: each of its sessions closes the folder above all of them to other users. In memory
    where there is room, unless it should be `durable`: a database is made there in a tenth of the time,
    whatever else the disk has to do.
    """
    parent = (
        MEMORY if not durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None
    )
    with tempfile.TemporaryDirectory(prefix="fanout-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's own database."""
    with shared("postgres", tmp_path_factory, _open_postgres) as url:
        yield url


@contextlib.contextmanager
def _open_postgres() -> Iterator[str]:
    with open_folder() as folder:
        server = Postgres(folder)
        process = server.start()
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                # No test pulls the plug of this server, so nothing has to be on the disk at any time.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("ALTER SYSTEM SET full_page_writes = off")
                connection.execute("SELECT pg_reload_conf()")
                connection.execute(f"CREATE DATABASE {WITH_SCHEMA}".encode())
            store = Store(_url_of(server.url, WITH_SCHEMA))
            store.create_schema()
            store.close()
            yield server.url
        finally:
            stop_all([process], 5)


@pytest.fixture
def database_url(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own: with the schema if the test uses `store`, else empty."""
    with open_database(postgres_url, WITH_SCHEMA if "store" in request.fixturenames else EMPTY) as url:
        yield url


@contextlib.contextmanager
def open_database(postgres_url: str, template: str = EMPTY) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        # Copied as files: a fifth of the time that writing all of it to the log first takes.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
        try:
            yield _url_of(postgres_url, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _url_of(postgres_url: str, database: str) -> str:
    return postgres_url.replace("/postgres?", f"/{database}?")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()

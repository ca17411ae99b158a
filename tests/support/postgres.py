"""PostgreSQL: one server for the session, a database for each test."""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import Postgres
from local.process import stop_all
from pipeline.store import Store


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
    with open_database(postgres) as url:
        yield url


@contextlib.contextmanager
def open_database(postgres: Postgres) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield postgres.url.replace("/postgres?", f"/{name}?")
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    store.create_schema()
    yield store
    store.close()

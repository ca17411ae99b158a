"""The schema: numbered SQL files in `migrations/`, applied once each, in order.

The process that starts first applies those that are missing, under one lock and in one transaction, while
older processes still run. A process that knows another version of the schema is not ready, waits, and loses
nothing.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pipeline.store.connection import SCHEMA, Database

SCHEMA_LOCK = 7_266_001  # an arbitrary key for pg_advisory_xact_lock; release 0.1.0 takes it, too

log = logging.getLogger(__name__)


class SchemaMismatch(psycopg.OperationalError):
    """The schema of the store has a version that this process does not know, or none yet."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0002_queues.sql` has version 2."""

    version: int
    name: str
    statements: bytes


def read_migrations() -> Sequence[Migration]:
    """Return the migrations of this release, in order."""
    files = resources.files("pipeline.store").joinpath("migrations").iterdir()
    named = [(re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name), file) for file in files]
    found = [Migration(int(name[1]), name[2], file.read_bytes()) for name, file in named if name]
    return sorted(found, key=lambda migration: migration.version)


MIGRATIONS = read_migrations()
SCHEMA_VERSION = MIGRATIONS[-1].version


def open_database(database_url: str, **options: Any) -> Database:
    """Return the database, with the options of `Database`, for inserts into this release's schema only."""
    return Database(database_url, schema_version=SCHEMA_VERSION, **options)


def migrate(database: Database, queue_name: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Apply the migrations that are missing. Safe while other processes do the same.

    `queue_name` names the queue that the messages in a store of release 0.1.0 came from. Raises
    SchemaMismatch if the schema is newer than the last of `migrations`.
    """
    with database.connection(patient=True) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        applied = _prepare(connection)
        _refuse_newer(max(applied, default=0), migrations[-1].version)
        connection.execute("SELECT set_config('fanout.queue', %s, true)", [queue_name])
        for migration in migrations:
            if migration.version in applied:
                continue
            connection.execute(migration.statements)
            connection.execute(
                "INSERT INTO migrations (version, name) VALUES (%s, %s)", [migration.version, migration.name]
            )
            log.info("schema migrated", extra={"version": migration.version, "migration": migration.name})


def check_schema(database: Database) -> None:
    """Return if the database answers and its schema has the version of this release.

    Raises psycopg.OperationalError, SchemaMismatch among them.
    """
    with database.connection() as connection:
        if connection.execute("SELECT to_regclass('migrations')").fetchone() == (None,):
            raise SchemaMismatch("the schema is not created yet")
        version = _read_version(connection)
    _refuse_newer(version, SCHEMA_VERSION)
    if version < SCHEMA_VERSION:
        raise SchemaMismatch(f"the schema has version {version}, not yet {SCHEMA_VERSION}")


def _prepare(connection: psycopg.Connection[TupleRow]) -> set[int]:
    """Create what keeps the versions, if it is missing; return those of the migrations that were applied."""
    # CREATE SCHEMA IF NOT EXISTS needs a privilege on the database even where the schema exists.
    if connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
    connection.execute(
        """CREATE TABLE IF NOT EXISTS migrations (
               version    integer     PRIMARY KEY,
               name       text        NOT NULL,
               applied_at timestamptz NOT NULL DEFAULT now())"""
    )
    return {version for (version,) in connection.execute("SELECT version FROM migrations")}


def _read_version(connection: psycopg.Connection[TupleRow]) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()
    assert row is not None
    return int(row[0])


def _refuse_newer(version: int, known: int) -> None:
    if version > known:
        raise SchemaMismatch(
            f"the schema has version {version}, this release knows up to {known}: upgrade this service"
        )

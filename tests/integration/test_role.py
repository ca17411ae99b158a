"""The role of the services in PostgreSQL owns its schema only, also on volumes that a superuser filled."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from local.emulators import ROOT
from local.postgres import ROLE, Postgres
from local.process import stop_all
from pipeline.store.migrate import MIGRATIONS, SCHEMA_VERSION, Migration, migrate
from tests.support.examples import arrival
from tests.support.manifests import container_of, read
from tests.support.postgres import open_folder
from tests.support.stores import QUEUE, Store

FILLED_BY_0_1_0 = Path(__file__).parent.parent / "support" / "data" / "store_0_1_0.sql"
NEXT = Migration(SCHEMA_VERSION + 1, "next", b"ALTER TABLE messages ADD COLUMN extra text")
ENTRY_POINT = "exec /usr/local/bin/docker-entrypoint.sh postgres"


class Volume:
    """The data folder of a PostgreSQL container, without the image."""

    def __init__(self, folder: Path, superuser: str) -> None:
        """Initialise it as the image does, with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB."""
        self._postgres = Postgres(folder)
        server = self._postgres._server
        self._programs, self._data, self._user = server.bin_path, server.pgdata, server.system_user
        for path in self._data.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        password = folder / "password"
        password.write_text("a password")
        self._run("initdb", "--encoding=utf8", "-U", superuser, f"--pwfile={password}")
        with self.started(), self.connect(superuser, "template1") as connection:
            connection.execute("CREATE DATABASE fanout")

    def url(self, role: str, database: str = "fanout") -> str:
        return f"postgresql://{role}@/{database}?host={self._postgres._sockets}"

    def connect(self, role: str, database: str = "fanout") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url(role, database), autocommit=True)

    @contextlib.contextmanager
    def started(self, *, crash: bool = False) -> Iterator[None]:
        process = self._postgres.start()
        try:
            yield
        finally:
            if crash:
                process.send_signal(signal.SIGQUIT)  # without a checkpoint
            stop_all([process], 10)

    def prepare(self) -> None:
        """Run the command of the container, up to the entry point of the image."""
        [shell, option, script] = container_of("postgres")["command"]
        assert ENTRY_POINT in script
        script = script.replace(ENTRY_POINT, "true").replace(
            "/docker-entrypoint-initdb.d/", f"{ROLE.parent}/"
        )
        self._run(shell, option, script)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {"PATH": f"{self._programs}:{os.environ['PATH']}", "PGDATA": str(self._data)}
        done = subprocess.run(
            [program, *arguments], user=self._user, env=environment, check=False, capture_output=True, cwd="/"
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def old_volume(folder: Path) -> Volume:
    """A volume of the time when the services were the superuser."""
    return Volume(folder, "fanout")


@contextlib.contextmanager
def open_store(volume: Volume) -> Iterator[Store]:
    store = Store(volume.url("fanout"))
    try:
        yield store
    finally:
        store.close()


FORBIDDEN: list[LiteralString] = [
    "CREATE DATABASE more",
    "CREATE ROLE more",
    "CREATE SCHEMA more",
    "CREATE TABLE public.more (i int)",
    "CREATE TEMPORARY TABLE more (i int)",
    "ALTER SYSTEM SET fsync = off",
    "ALTER ROLE fanout SUPERUSER",
    "ALTER DATABASE fanout RENAME TO more",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO '/tmp/more'",
    "COPY fanout_store.messages (body) FROM PROGRAM 'id'",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
]


def test_an_old_volume_is_taken_over_without_loss_even_after_a_crash(old_volume: Volume) -> None:
    with old_volume.started(crash=True):
        with open_store(old_volume) as store:
            store.create_schema()
            store.add([arrival("before")])
        with old_volume.connect("fanout") as connection:
            connection.execute(
                "CREATE TABLE orders (id int); CREATE SCHEMA shop; CREATE TABLE shop.orders (id int)"
            )
            verifier = connection.execute("SELECT rolpassword FROM pg_authid WHERE oid = 10").fetchone()

    old_volume.prepare()

    with old_volume.started(), old_volume.connect("postgres") as superuser:
        roles = superuser.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolpassword "
            "FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1"
        ).fetchall()
        assert verifier
        assert roles == [("fanout", *[False] * 5, verifier[0]), ("postgres", *[True] * 5, None)]
        with open_store(old_volume) as store:
            store.add([arrival("after")])
            assert [message.preview for message in store.find(limit=5)] == ["after", "before"]
            store.prune(1)
            migrate(store.database, QUEUE, [*MIGRATIONS, NEXT])
        with old_volume.connect("fanout") as connection:
            connection.execute(
                "INSERT INTO public.orders VALUES (1); ALTER TABLE shop.orders ADD COLUMN price int"
            )


def test_the_role_may_do_nothing_else(old_volume: Volume) -> None:
    with old_volume.started(), open_store(old_volume) as store:
        store.create_schema()
    old_volume.prepare()

    with old_volume.started(), old_volume.connect("fanout") as connection:
        for statement in FORBIDDEN:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
                connection.execute(statement)
        for database in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                old_volume.connect("fanout", database)


def test_a_store_of_release_0_1_0_is_migrated_by_the_role(old_volume: Volume) -> None:
    with old_volume.started(), old_volume.connect("fanout") as connection:
        connection.execute(FILLED_BY_0_1_0.read_bytes())
    old_volume.prepare()

    with old_volume.started():
        with open_store(old_volume) as store:
            store.create_schema()
            assert len(store.find(limit=50)) == 7
        with old_volume.connect("fanout") as connection, pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO public.messages (id) VALUES ('by a service of 0.1.0')")
    old_volume.prepare()
    with (
        old_volume.started(),
        old_volume.connect("fanout") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE public.more (i int)")


def test_a_new_volume_gets_the_role_from_the_image_and_keeps_it(folder: Path) -> None:
    volume = Volume(folder, "postgres")
    with volume.started(), volume.connect("postgres") as connection:
        connection.execute(ROLE.read_bytes())  # the image runs it with psql
    for _ in range(2):
        volume.prepare()

    with volume.started(), open_store(volume) as store, volume.connect("postgres") as superuser:
        store.create_schema()
        store.add([arrival("hello")])
        found = superuser.execute(
            "SELECT rolsuper, rolpassword ~ '^SCRAM' FROM pg_authid WHERE rolname = 'fanout'"
        )
        assert found.fetchone() == (False, True)


def test_cloudnativepg_prepares_the_role_so_that_it_may_do_nothing_else(folder: Path) -> None:
    [cluster] = read([ROOT / "overlays" / "ha" / "postgres.yaml"])
    volume = Volume(folder, "postgres")

    with volume.started():
        with volume.connect("postgres") as connection:
            # What the operator does with `owner` and `database`.
            connection.execute("CREATE ROLE fanout LOGIN")
            connection.execute("ALTER DATABASE fanout OWNER TO fanout")
            for statement in cluster["spec"]["bootstrap"]["initdb"]["postInitApplicationSQL"]:
                connection.execute(statement)
        with open_store(volume) as store:
            store.create_schema()
            store.add([arrival("hello")])
            assert len(store.find(limit=5)) == 1
        with volume.connect("fanout") as connection:
            for statement in FORBIDDEN:
                with pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)
                ):
                    connection.execute(statement)


def test_an_error_in_the_preparation_keeps_the_container_from_starting(folder: Path) -> None:
    volume = Volume(folder, "postgres")
    with volume.started(), volume.connect("postgres", "template1") as connection:
        connection.execute("DROP DATABASE fanout")

    with pytest.raises(AssertionError, match='database "fanout" does not exist'):
        volume.prepare()

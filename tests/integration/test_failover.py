"""Servers that cannot be written to, standbys that are away, several servers in one URL."""

import threading
import time

import psycopg
import pytest

from pipeline.retry import is_outage
from tests.support.examples import arrival
from tests.support.failover import Pair
from tests.support.ports import closed_port
from tests.support.stores import Store
from tests.support.waiting import wait_for


@pytest.fixture
def read_only(store: Store) -> None:
    """The store is read-only, as on a standby, for connections opened from now on."""
    with psycopg.connect(store.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())


@pytest.mark.usefixtures("read_only")
def test_a_server_that_only_reads_is_not_used_even_if_the_url_does_not_say_so(
    store: Store,
) -> None:
    for use in (store.check, lambda: store.add([arrival("hello")])):
        with pytest.raises(psycopg.OperationalError, match="session is read-only"):
            use()


@pytest.mark.usefixtures("read_only")
def test_a_server_that_may_be_any_is_named_if_it_only_reads(store: Store) -> None:
    any_server = Store(f"{store.url}&target_session_attrs=any")

    with pytest.raises(psycopg.OperationalError, match=r"PostgreSQL at .+ is read-only"):
        any_server.check()

    any_server.close()


def test_a_primary_that_is_demoted_is_left_though_its_connections_stay_open(store: Store) -> None:
    with store.connection() as connection:
        demoted = connection.info.backend_pid
        connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(psycopg.OperationalError, match="read-only"):
        store.newest()

    [seq] = store.add([arrival("hello")])
    assert isinstance(seq, int)
    with store.connection() as connection:
        assert connection.info.backend_pid != demoted


def test_a_write_that_a_demoted_primary_refuses_is_an_outage_and_ends_its_connection(store: Store) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as refused, store.connection() as connection:
        connection.execute("SET transaction_read_only = on; DELETE FROM messages")

    assert is_outage(refused.value)
    assert connection.closed


def test_an_outage_is_explained_by_the_servers_that_do_not_answer() -> None:
    hosts, port = ("127.0.0.1", "127.0.0.2"), closed_port()
    store = Store(f"postgresql://fanout:s3cret@{hosts[0]}:{port},{hosts[1]}:{port}/fanout")

    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError) as failed:
        store.check()

    assert time.monotonic() - began < 4  # not the whole time that a caller may wait for a connection
    assert all(f'"{host}", port {port}' in str(failed.value) for host in hosts)
    assert "s3cret" not in str(failed.value)
    store.close()


def test_a_url_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(SystemExit) as refused:
        Store("postgresql://fanout:s3cret@[::1/fanout")

    assert "DATABASE_URL" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def is_hanging(store: Store) -> bool:
    try:
        store.check_commits()
    except psycopg.OperationalError as error:
        return "commits wait for a synchronous standby" in str(error)
    return False


def test_a_message_that_no_standby_has_is_not_taken_for_stored(pair: Pair) -> None:
    store = Store(pair.url, answer_seconds=1)
    store.create_schema()
    delivery = arrival("hello")
    pair.standby.kill()
    with pytest.raises(psycopg.OperationalError):
        store.add([delivery])
    wait_for(lambda: is_hanging(store), what="hanging commits noticed")
    # Its commit no longer waits: the message can be seen, and only the primary has it.
    pair.primary.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    )
    wait_for(lambda: pair.primary.execute("SELECT count(*) FROM fanout_store.messages") == [(1,)])

    with pytest.raises(psycopg.OperationalError):
        store.add([delivery])

    added: list[object] = []
    patient = Store(pair.url)
    waiting = threading.Thread(target=lambda: added.extend(patient.add([delivery])))
    waiting.start()
    pair.standby.start()
    waiting.join(20)
    assert added == ["retried"]
    assert not is_hanging(store)
    pair.primary.kill()
    pair.standby.promote()
    assert pair.standby.execute("SELECT count(*) FROM fanout_store.messages") == [(1,)]
    store.close()
    patient.close()


def test_a_primary_that_hangs_is_left_for_the_one_that_was_promoted(pair: Pair) -> None:
    store = Store(pair.url, answer_seconds=1)
    store.create_schema()
    for process in pair.primary.processes:
        process.suspend()  # the postmaster first, so that it starts no others
    pair.standby.promote()

    def is_stored() -> bool:
        try:
            return bool(store.add([arrival("hello")]))
        except psycopg.OperationalError:
            return False

    wait_for(is_stored, 10, what="a message stored by the new primary")

    assert pair.standby.execute("SELECT count(*) FROM fanout_store.messages") == [(1,)]
    store.close()

"""Tests that hurt: whatever is killed, stopped or broken, what was published is stored, once.

`make chaos` runs them at full size (CHAOS_MESSAGES=10000, an outage of 20 s); `make test` at a small one.
"""

import contextlib
import json
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.emulators import aws_environment, create_resources, start_emulator
from local.postgres import Postgres
from local.process import Process, stop_all
from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.message import Message, new_message
from tests.support.chaos import MESSAGES, PATIENCE_SECONDS, announced, publish_all, stored_ids
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.faulty_proxy import FaultyProxy
from tests.support.ports import free_port
from tests.support.postgres import open_folder
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

OUTAGE_SECONDS = 20 if MESSAGES >= 10_000 else 4


def messages(count: int, text: str = "good") -> list[Message]:
    return [new_message("/chaos", "chaos", {"text": f"{text} {number}"}) for number in range(count)]


def assert_stored_once(store: Store, published: list[str]) -> None:
    """Published = stored, duplicates shown = 0."""
    found = stored_ids(store)
    assert len(found) == len(set(found))
    assert set(found) == set(published)


def restart_until_stored(
    start: Callable[..., Service],
    environment: dict[str, str],
    store: Store,
    count: int,
    number: signal.Signals,
) -> int:
    """Start a consumer, end it half a second after it is ready, and so on; return how often."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    ended = 0
    while len(stored_ids(store)) < count:
        assert time.monotonic() < deadline, f"{len(stored_ids(store))} of {count} stored"
        consumer = start("consumer", environment)
        threading.Event().wait(0.5)
        consumer.process.send_signal(number)
        status = consumer.process.wait(10)
        assert status == (0 if number == signal.SIGTERM else -number)
        ended += 1
    return ended


def test_a_consumer_killed_again_and_again_loses_and_doubles_nothing(
    create: Callable[..., Names], store: Store, database_url: str, start: Callable[..., Service]
) -> None:
    # Being killed costs a try, so there must be enough of them.
    names = create("localstack", MAX_RECEIVE_COUNT="1000")
    environment = {**names.environment, "DATABASE_URL": database_url, "VISIBILITY_TIMEOUT_SECONDS": "2"}
    published = messages(MESSAGES)
    publishing = threading.Thread(target=publish_all, args=[Topic(sns_client(), names.topic), published])
    publishing.start()

    ended = restart_until_stored(start, environment, store, MESSAGES, signal.SIGKILL)

    publishing.join()
    start("consumer", environment)
    wait_for(lambda: TestConsumer(names, store).left_in_queue() == 0, seconds=30, what="an empty queue")
    assert ended >= 1
    assert_stored_once(store, [message.id for message in published])


def test_a_consumer_stopped_again_and_again_lets_no_message_wait_for_its_visibility_timeout(
    create: Callable[..., Names], store: Store, database_url: str, start: Callable[..., Service]
) -> None:
    names = create("localstack")
    # Longer than the test is allowed to take: who waits for it, fails.
    environment = {**names.environment, "DATABASE_URL": database_url, "VISIBILITY_TIMEOUT_SECONDS": "3600"}
    published = messages(MESSAGES)
    publish_all(Topic(sns_client(), names.topic), published)

    restart_until_stored(start, environment, store, MESSAGES, signal.SIGTERM)

    assert TestConsumer(names, store).left_in_queue() == 0
    assert_stored_once(store, [message.id for message in published])


@pytest.fixture
def proxy(localstack_port: int) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(localstack_port, share=0.2)
    yield proxy
    proxy.close()


def test_when_aws_fails_a_fifth_of_all_calls_every_announced_message_is_stored(
    create: Callable[..., Names],
    proxy: FaultyProxy,
    store: Store,
    database_url: str,
    start: Callable[..., Service],
) -> None:
    names = create("localstack", MAX_RECEIVE_COUNT="1000")
    through_proxy = {
        **names.environment,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
        "DATABASE_URL": database_url,
        "VISIBILITY_TIMEOUT_SECONDS": "5",  # what a lost answer brought is visible again soon
    }
    consumer = start("consumer", through_proxy, wait=False)
    producer = start("producer", through_proxy, wait=False, RATE_PER_SECOND="200")
    wait_for(lambda: len(announced(producer)) >= MESSAGES, seconds=PATIENCE_SECONDS)
    producer.process.ask_to_stop()
    producer.process.wait(10)

    ids = announced(producer)
    wait_for(lambda: ids <= set(stored_ids(store)), seconds=PATIENCE_SECONDS, what="all announced stored")
    wait_for(lambda: TestConsumer(names, store).left_in_queue() == 0, seconds=60, what="an empty queue")

    found = stored_ids(store)
    assert len(found) == len(set(found))
    assert set(proxy.faults) >= {"answer_500", "throttle", "cut_before", "cut_after"}
    assert consumer.process.exit_status is None
    assert consumer.get("/health").status_code == 200


class MortalPostgres:
    """A server that a test may stop and start."""

    def __init__(self, folder: Path) -> None:
        self._server = Postgres(folder)
        self.url = self._server.url
        self.start()

    def start(self) -> None:
        self._process = self._server.start()

    def stop(self) -> None:
        stop_all([self._process], 10)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """For as long as the block lasts it answers nothing, and breaks no connection."""
        main = psutil.Process(self._process.pid)
        main.suspend()  # first, so that the others stay the same
        others = main.children()
        for other in others:
            other.suspend()
        try:
            yield
        finally:
            for process in (*others, main):
                process.resume()


@pytest.fixture
def mortal_postgres() -> Iterator[MortalPostgres]:
    with open_folder() as folder:
        server = MortalPostgres(folder)
        yield server
        server.stop()


def test_an_outage_of_postgresql_loses_nothing_and_costs_no_try(
    create: Callable[..., Names], mortal_postgres: MortalPostgres, start: Callable[..., Service]
) -> None:
    names = create("localstack", MAX_RECEIVE_COUNT="2")
    store = Store(mortal_postgres.url)
    environment = {
        **names.environment,
        "DATABASE_URL": mortal_postgres.url,
        "VISIBILITY_TIMEOUT_SECONDS": "3",
    }
    consumer = start("consumer", environment)
    producer = start("producer", environment, RATE_PER_SECOND="200")
    wait_for(lambda: len(stored_ids(store)) > MESSAGES / 4, seconds=PATIENCE_SECONDS)

    mortal_postgres.stop()
    threading.Event().wait(OUTAGE_SECONDS)
    assert consumer.get("/health").status_code == 200
    readiness = consumer.get("/health?probe=readiness")
    assert readiness.status_code == 503
    assert readiness.json()["checks"]["aws"] == "ok"
    mortal_postgres.start()

    wait_for(lambda: len(announced(producer)) >= MESSAGES, seconds=PATIENCE_SECONDS)
    producer.process.ask_to_stop()
    producer.process.wait(10)
    ids = announced(producer)
    wait_for(lambda: len(stored_ids(store)) >= len(ids), seconds=PATIENCE_SECONDS, what="all stored")
    assert_stored_once(store, list(ids))
    counter = TestConsumer(names, store)
    wait_for(lambda: counter.left_in_queue() == 0, seconds=30, what="an empty queue")
    assert counter.dead() == 0
    with store.connection() as connection:
        assert connection.execute("SELECT max(receive_count) FROM messages").fetchone() == (1,)
    store.close()


def test_a_postgresql_that_hangs_is_an_outage_and_no_stall(
    ministack: Names, mortal_postgres: MortalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with the figures of the real service, they are together less than a stall.
    monkeypatch.setattr("pipeline.store.connection.CONNECT_TIMEOUT_SECONDS", 1)
    stall_seconds, store = 4, Store(mortal_postgres.url, answer_seconds=1)
    store.create_schema()
    topic = Topic(sns_client(), ministack.topic)
    consumer = TestConsumer(ministack, store, stall_seconds=stall_seconds)
    loop = threading.Thread(target=consumer.poller.run)
    loop.start()
    publish_all(topic, before := messages(20, "before"))
    wait_for(lambda: len(stored_ids(store)) == 20)

    with mortal_postgres.hanging():
        publish_all(topic, meanwhile := messages(20, "meanwhile"))
        hangs_until = time.monotonic() + 2 * stall_seconds
        while time.monotonic() < hangs_until:
            assert consumer.health.liveness()[1] == 200
            threading.Event().wait(0.05)
        assert consumer.left_in_queue() > 0

    wait_for(lambda: consumer.left_in_queue() == 0)
    assert consumer.health.liveness()[1] == 200
    consumer.stop.set()
    loop.join()
    assert_stored_once(store, [message.id for message in before + meanwhile])
    with store.connection() as connection:
        assert connection.execute("SELECT max(receive_count) FROM messages").fetchone() == (1,)
    store.close()


@pytest.fixture
def mortal_emulator(tmp_path: Path) -> Iterator[Callable[[str, int], Process]]:
    """Start this emulator on this port, as often as asked; none is left behind."""
    started: list[Process] = []

    def start(name: str, port: int) -> Process:
        started.append(start_emulator(name, port, tmp_path / name))
        return started[-1]

    yield start
    stop_all(started, 0)


# LocalStack takes many seconds to start, twice in each.
@pytest.mark.parametrize(
    ("name", "with_postgresql"), [("localstack", False), ("localstack", True), ("ministack", True)]
)
def test_an_emulator_that_forgot_everything_is_waited_for_alone_or_with_postgresql(
    name: str,
    with_postgresql: bool,
    mortal_postgres: MortalPostgres,
    mortal_emulator: Callable[[str, int], Process],
    start: Callable[..., Service],
) -> None:
    port = free_port()
    emulator = mortal_emulator(name, port)
    names = {"TOPIC_NAME": f"t-{uuid.uuid4().hex}", "QUEUE_NAME": f"q-{uuid.uuid4().hex}"}
    environment = {**aws_environment(port), **names, "DATABASE_URL": mortal_postgres.url}
    create_resources(environment)
    store = Store(mortal_postgres.url)
    consumer = start("consumer", environment)
    producer = start("producer", environment, RATE_PER_SECOND="50")
    wait_for(lambda: len(stored_ids(store)) > 50)

    stop_all([emulator], 0)
    if with_postgresql:
        mortal_postgres.stop()
    wait_for(lambda: "waiting for SNS" in producer.process.log_file.read_text())
    said_before = announced(producer)
    threading.Event().wait(2)
    assert announced(producer) == said_before
    mortal_emulator(name, port)
    if with_postgresql:
        mortal_postgres.start()
    create_resources(environment)
    # SNS takes messages for a topic that has no subscription yet, and forgets them.
    said_before = announced(producer)

    wait_for(lambda: len(announced(producer) - said_before) >= 100, seconds=15, what="publishing again")
    producer.process.ask_to_stop()
    producer.process.wait(10)
    said_after = announced(producer) - said_before
    wait_for(lambda: said_after <= set(stored_ids(store)), seconds=15, what="all after the return stored")
    found = stored_ids(store)
    assert len(found) == len(set(found))
    assert consumer.process.exit_status is None
    stop_all([consumer.process], 5)
    received = sum(line["messages"] for line in log_lines(consumer) if line["message"] == "received")
    kept = sum(1 for line in log_lines(consumer) if line["message"] in ("stored", "duplicate", "retried"))
    assert kept == received
    store.close()


def log_lines(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]


def test_poison_delays_nobody_and_arrives_after_the_handler_is_mended(
    create: Callable[..., Names],
    store: Store,
    database_url: str,
    start: Callable[..., Service],
    tmp_path: Path,
) -> None:
    names = create("localstack", MAX_RECEIVE_COUNT="3")
    mended = tmp_path / "mended"
    start(
        "consumer",
        {**names.environment, "DATABASE_URL": database_url, "MENDED": str(mended)},
        HANDLER="tests.support.handlers:refuse_poison,store",
        RETRY_SECONDS="1",
    )
    good, poison = messages(MESSAGES), messages(max(5, MESSAGES // 50), "poison")
    mixed = random.sample(good + poison, len(good) + len(poison))
    publish_all(Topic(sns_client(), names.topic), mixed)
    counter = TestConsumer(names, store)

    wait_for(lambda: len(stored_ids(store)) == len(good), seconds=PATIENCE_SECONDS, what="the good stored")
    wait_for(lambda: counter.dead() == len(poison), seconds=60, what="the bad in the dead-letter queue")
    assert_stored_once(store, [message.id for message in good])
    letters = counter.failures.dead_letters()
    assert {letter.id for letter in letters} == {message.id for message in poison}
    assert {letter.tries for letter in letters} == {3}
    assert all(letter.error == f"{letter.preview} cannot be handled" for letter in letters)

    mended.touch()
    counter.dead_letters.redrive()

    wait_for(lambda: len(stored_ids(store)) == len(mixed), seconds=60, what="the redriven stored")
    assert_stored_once(store, [message.id for message in mixed])
    wait_for(lambda: counter.left_in_queue() + counter.dead() == 0, seconds=30, what="empty queues")
    assert counter.failures.dead_letters() == []


@settings(
    max_examples=2000 if MESSAGES >= 10_000 else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.text(min_size=1) | st.binary(min_size=1).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
def test_whatever_sqs_accepts_is_stored(arbitrary: TestConsumer, store: Store, body: str) -> None:
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=arbitrary.queue.name)["QueueUrl"]
    try:
        sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    except (ClientError, UnicodeEncodeError):
        return  # SQS refuses some control characters; what it refuses, nobody has to keep

    [delivery] = arbitrary.take(1).done

    assert delivery.message_id == sent["MessageId"]
    with store.connection() as connection:
        found = connection.execute(
            "SELECT seq FROM messages WHERE identity = %s", [delivery.message.identity]
        )
        assert len(found.fetchall()) == 1


@pytest.fixture
def arbitrary(create: Callable[..., Names], store: Store) -> TestConsumer:
    return TestConsumer(create("localstack"), store)

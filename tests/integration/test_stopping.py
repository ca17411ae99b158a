"""SIGTERM: what is in hand is finished, what was not started is handed back, and the process ends soon."""

import re
import signal
import time
from collections.abc import Callable

import pytest

from tests.support.consuming import TestConsumer, publish
from tests.support.emulators import Names
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for

STOP_SECONDS = 5


@pytest.mark.parametrize("service", ["producer", "consumer", "viewer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_ends_with_success(
    service: str, number: signal.Signals, ministack: Names, database_url: str, start: Callable[..., Service]
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url, "WAIT_TIME_SECONDS": "20"}
    running = start(service, environment)
    began = time.monotonic()

    running.process.send_signal(number)

    assert running.process.wait(10) == 0
    assert time.monotonic() - began < STOP_SECONDS
    assert "Traceback" not in running.log()


def test_a_batch_in_hand_is_finished_and_the_rest_is_visible_at_once(
    ministack: Names, store: Store, database_url: str, start: Callable[..., Service]
) -> None:
    consumer = start(
        "consumer",
        {**ministack.environment, "DATABASE_URL": database_url},
        POLLERS="1",
        HANDLER="tests.support.handlers:slow,store",
        VISIBILITY_TIMEOUT_SECONDS="300",
    )
    publish(ministack, 10)
    wait_for(lambda: "slow handler began" in consumer.log())

    consumer.process.send_signal(signal.SIGTERM)

    assert consumer.process.wait(10) == 0
    finished = len(store.find(limit=50))
    assert finished >= 1
    rival = TestConsumer(ministack, store)
    rival.take(10 - finished)
    assert len(store.find(limit=50)) == 10


def test_a_slow_handler_is_waited_for(
    ministack: Names, store: Store, database_url: str, start: Callable[..., Service]
) -> None:
    consumer = start(
        "consumer",
        {**ministack.environment, "DATABASE_URL": database_url, "HANDLER_SECONDS": "4"},
        HANDLER="tests.support.handlers:slow,store",
    )
    publish(ministack, 1)
    wait_for(lambda: "slow handler began" in consumer.log())

    consumer.process.send_signal(signal.SIGTERM)

    assert consumer.process.wait(15) == 0
    assert len(store.find(limit=50)) == 1


def test_a_second_signal_ends_at_once(
    ministack: Names, database_url: str, start: Callable[..., Service]
) -> None:
    consumer = start(
        "consumer",
        {**ministack.environment, "DATABASE_URL": database_url, "HANDLER_SECONDS": "60"},
        HANDLER="tests.support.handlers:slow,store",
    )
    publish(ministack, 1)
    wait_for(lambda: "slow handler began" in consumer.log())

    consumer.process.send_signal(signal.SIGTERM)
    wait_for(lambda: consumer.get("/health?probe=readiness").json().get("reason") == "draining")
    consumer.process.send_signal(signal.SIGTERM)

    assert consumer.process.wait(2) == 128 + signal.SIGTERM


# Slow: a consumer takes no shorter STALL_SECONDS.
def test_a_poller_stuck_in_a_handler_turns_liveness_to_503_after_its_time_and_not_before(
    ministack: Names, database_url: str, start: Callable[..., Service]
) -> None:
    consumer = start(
        "consumer",
        {**ministack.environment, "DATABASE_URL": database_url, "HANDLER_SECONDS": "60"},
        HANDLER="tests.support.handlers:slow",
        POLLERS="2",
        STALL_SECONDS="11",
    )
    publish(ministack, 1)
    wait_for(lambda: "slow handler began" in consumer.log())

    wait_for(lambda: consumer.get("/health").status_code == 503, seconds=60)

    reason = consumer.get("/health").json()["reason"]
    stalled = re.fullmatch(r"poller-\d has not completed a turn for (\d+) s \(handling\)", reason)
    assert stalled, reason
    assert int(stalled[1]) >= 11

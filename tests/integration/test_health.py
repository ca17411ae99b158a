"""Liveness asks whether the loops turn; readiness asks the dependencies too."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from pipeline.health import Health
from pipeline.retry import AWS_ERRORS
from tests.support.emulators import Names
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.waiting import wait_for


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def away() -> None:
    raise AWS_ERRORS[0]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_loop_that_turns_is_alive(clock: Clock) -> None:
    health = Health(60, {}, clock)
    for _ in range(10):
        clock.now += 59
        health.beat("polling")

    assert health.liveness() == ({"status": "UP!"}, 200)


def test_a_loop_that_stalls_is_named_with_what_it_was_at(clock: Clock) -> None:
    health = Health(60, {}, clock)
    health.beat("poller-1")
    health.beat("poller-2")
    health.doing("poller-2", "handling")
    clock.now += 50
    health.beat("poller-1")
    assert health.liveness()[1] == 200
    clock.now += 11

    reason = "poller-2 has not completed a turn for 61 s (handling)"
    assert health.liveness() == ({"status": "DOWN!", "reason": reason}, 503)
    health.beat("poller-2")
    assert health.liveness()[1] == 200


def test_a_service_that_never_starts_turning_is_not_alive(clock: Clock) -> None:
    health = Health(60, {}, clock)
    clock.now += 61

    assert health.liveness()[1] == 503


def test_a_loop_that_died_is_down_at_once(clock: Clock) -> None:
    health = Health(60, {}, clock)
    health.fail("poller-1", "died of SystemExit: 1")

    assert health.liveness() == ({"status": "DOWN!", "reason": "poller-1 died of SystemExit: 1"}, 503)


def test_a_broken_dependency_fails_readiness_and_not_liveness(clock: Clock) -> None:
    health = Health(60, {"aws": away, "database": lambda: None}, clock)

    body, status = health.readiness()

    assert status == 503
    assert body["reason"] == "not working: aws"
    assert body["checks"]["database"] == "ok"
    assert body["checks"]["aws"] != "ok"
    assert health.liveness()[1] == 200


def test_a_draining_service_is_alive_and_not_ready(clock: Clock) -> None:
    health = Health(60, {"aws": lambda: None}, clock)
    assert health.readiness() == ({"status": "UP!", "checks": {"aws": "ok"}}, 200)

    health.drain()

    assert health.readiness() == ({"status": "DOWN!", "reason": "draining", "checks": {"aws": "ok"}}, 503)
    assert health.liveness()[1] == 200


@pytest.mark.parametrize("service", ["producer", "consumer", "viewer"])
def test_every_service_answers_probes(
    service: str, ministack: Names, database_url: str, start: Callable[..., Service]
) -> None:
    running = start(service, {**ministack.environment, "DATABASE_URL": database_url})

    live = running.get("/health")
    assert (live.status_code, live.text) == (200, '{"status":"UP!"}')
    assert live.headers["Content-Type"] == "application/json"
    ready = running.get("/health?probe=readiness").json()
    assert ready["status"] == "UP!"
    assert set(ready["checks"].values()) == {"ok"}
    assert running.get("/health?probe=lively").status_code == 400
    assert "python_info" in running.get("/metrics").text
    wait_for(lambda: "GET /health 200" in running.log())


def test_services_wait_alive_for_dependencies_that_are_not_there(start: Callable[..., Service]) -> None:
    nowhere = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{closed_port()}/none",
    }
    services = [start(name, nowhere, wait=False) for name in ("producer", "consumer", "viewer")]

    def check(service: Service) -> None:
        wait_for(functools.partial(answers, service), seconds=30)
        assert service.get("/health").status_code == 200
        body = service.get("/health?probe=readiness")
        assert body.status_code == 503
        assert "not working" in body.json()["reason"]
        assert service.process.exit_status is None

    with ThreadPoolExecutor(len(services)) as pool:  # each waits for seconds until a connection fails
        list(pool.map(check, services))


def answers(service: Service) -> bool:
    try:
        return service.get("/health").ok
    except (requests.ConnectionError, requests.Timeout):
        return False

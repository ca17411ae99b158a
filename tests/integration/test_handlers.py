"""What a handler of one's own adds to the consumer: its readiness and its metrics."""

from collections.abc import Callable
from pathlib import Path

from tests.support.consuming import publish
from tests.support.emulators import Names
from tests.support.services import Service
from tests.support.waiting import wait_for

SHOP = "tests.support.handlers:Shop"


def outcomes_of(service: Service) -> dict[str, str]:
    """Return what readiness says of each check."""
    return dict(service.get("/health?probe=readiness").json()["checks"])


def test_a_handler_that_is_not_ready_is_named_by_readiness_and_restarts_nothing(
    ministack: Names, start: Callable[..., Service], database_url: str, tmp_path: Path
) -> None:
    door = tmp_path / "door"
    environment = {**ministack.environment, "DATABASE_URL": database_url, "SHOP": str(door)}
    consumer = start("consumer", environment, wait=False, HANDLER=f"store, {SHOP}")

    wait_for(consumer.answers)
    wait_for(lambda: outcomes_of(consumer) == {"aws": "ok", SHOP: "the shop is closed", "database": "ok"})
    answer = consumer.get("/health?probe=readiness")
    assert (answer.status_code, answer.json()["reason"]) == (503, f"not working: {SHOP}")
    assert consumer.get("/health").json() == {"status": "UP!"}
    assert f'fanout_check_ok{{check="{SHOP}"}} 0.0' in consumer.get("/metrics").text
    assert "Traceback" not in consumer.log()

    door.touch()
    wait_for(consumer.is_ready)


def test_the_metrics_of_a_handler_are_among_those_of_the_consumer(
    ministack: Names, start: Callable[..., Service], database_url: str, tmp_path: Path
) -> None:
    environment = {**ministack.environment, "DATABASE_URL": database_url, "SHOP": str(tmp_path)}
    consumer = start("consumer", environment, HANDLER=SHOP)

    publish(ministack, 3)

    wait_for(lambda: "\nshop_orders_total 3.0\n" in consumer.get("/metrics").text)

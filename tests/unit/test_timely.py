"""Whoever reads what does not answer is told so in time."""

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.timely import NoAnswer, Timely


@pytest.fixture
def frozen() -> Iterator[threading.Event]:
    """Set when it answers again."""
    event = threading.Event()
    yield event
    event.set()


def test_a_value_is_read_once_while_it_is_fresh() -> None:
    values = iter(range(10))
    read = Timely(lambda: next(values), fresh_seconds=60, deadline_seconds=5)

    assert [read(), read()] == [0, 0]
    stale = Timely(lambda: next(values), fresh_seconds=0, deadline_seconds=5)
    assert [stale(), stale()] == [1, 2]


def test_a_failure_is_raised_to_the_caller() -> None:
    def fail() -> None:
        raise KeyError("sku")

    with pytest.raises(KeyError):
        Timely(fail, 1, 5)()


def test_callers_of_what_does_not_answer_wait_for_a_bounded_time_and_then_not_at_all(
    frozen: threading.Event,
) -> None:
    calls = []

    def read() -> str:
        calls.append(1)
        frozen.wait()
        return "back"

    now = 0.0
    timely = Timely(read, fresh_seconds=0, deadline_seconds=3600, clock=lambda: now)
    timely.start()
    now = 3600.0
    for _ in range(20):  # a caller that waited anew would wait for an hour
        with pytest.raises(NoAnswer, match="no answer within 3600 s"):
            timely()

    assert len(calls) == 1


def test_what_answers_again_is_read_again(frozen: threading.Event) -> None:
    timely = Timely(lambda: frozen.wait() and "back", fresh_seconds=0, deadline_seconds=0.1)
    with pytest.raises(NoAnswer):
        timely()

    frozen.set()

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert timely() == "back"
            return
        except NoAnswer:
            time.sleep(0.01)
    pytest.fail("it is still away")

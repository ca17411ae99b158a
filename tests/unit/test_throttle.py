"""Who is wrong too often waits; nobody else does."""

from hypothesis import given
from hypothesis import strategies as st

from viewer.access.throttle import MAX_CLIENTS, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 20), max_size=60))
def test_no_pattern_of_tries_gets_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    clock = Clock()
    throttle = Throttle(3, 10, clock)
    began, allowed = clock.now, 0

    for pause in pauses:
        clock.now += pause
        allowed += throttle.take("10.0.0.1") == 0

        assert allowed <= 3 + (clock.now - began) / 10 + 1e-6


def test_a_client_that_waits_as_told_may_try_again() -> None:
    clock = Clock()
    throttle = Throttle(3, 10, clock)
    assert [throttle.take("a") for _ in range(5)] == [0, 0, 0, 10, 10]

    clock.now += throttle.take("a")

    assert throttle.take("a") == 0


def test_being_right_costs_no_try() -> None:
    throttle = Throttle(3, 10, Clock())

    for _ in range(100):
        assert throttle.take("a") == 0
        throttle.give_back("a")


def test_clients_are_told_apart_by_address_and_by_network_in_ipv6() -> None:
    throttle = Throttle(1, 10, Clock())
    assert throttle.take("10.0.0.1") == 0
    assert throttle.take("2001:db8::1") == 0

    assert throttle.take("10.0.0.2") == 0
    assert throttle.take("::ffff:10.0.0.1") > 0
    assert throttle.take("2001:db8::dead:beef") > 0
    assert throttle.take("2001:db8:0:1::1") == 0


def test_many_addresses_fill_no_memory_and_free_no_client_that_keeps_trying() -> None:
    throttle = Throttle(1, 10, Clock())
    throttle.take("attacker")

    for number in range(3 * MAX_CLIENTS):
        throttle.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        if number % 1000 == 0:
            throttle.take("attacker")

    assert len(throttle._empty_at) == MAX_CLIENTS

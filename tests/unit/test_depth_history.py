"""How many messages queues held while they were watched."""

from viewer.aws.depth_history import MAX_SLOTS, DepthHistory


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_slot_has_the_most_that_was_read_in_it_and_what_was_not_read_stays() -> None:
    history = DepthHistory(10, clock := Clock())
    for messages in (2, 9, 4):
        history.note("orders", messages)
    clock.now += 30
    history.note("orders", 0)

    assert history.of("orders") == [9, 4, 4, 0]


def test_a_change_within_a_slot_is_one() -> None:
    history = DepthHistory(10, Clock())
    for messages in (0, 2):
        history.note("orders", messages)

    assert history.of("orders") == [2]


def test_nothing_is_told_of_a_queue_that_did_not_change() -> None:
    history = DepthHistory(10, clock := Clock())
    assert history.of("orders") == ()
    history.note("orders", 3)
    clock.now += 100
    history.note("orders", 3)

    assert history.of("orders") == ()


def test_what_is_older_than_all_slots_is_forgotten() -> None:
    history = DepthHistory(10, clock := Clock())
    history.note("orders", 5)
    clock.now += 10
    history.note("orders", 7)
    clock.now += 10 * (MAX_SLOTS - 1)
    history.note("orders", 1)

    assert history.of("orders") == [*[7] * (MAX_SLOTS - 1), 1]
    clock.now += 10
    assert history.of("orders") == [*[7] * (MAX_SLOTS - 2), 1, 1]
    clock.now += 10 * MAX_SLOTS
    history.note("orders", 1)
    assert history.of("orders") == ()


def test_what_is_kept_of_a_queue_is_bounded_and_of_one_that_is_gone_nothing() -> None:
    history = DepthHistory(10, clock := Clock())
    for number in range(10 * MAX_SLOTS):
        history.note("orders", number)
        clock.now += 5
    assert len(history.of("orders")) == MAX_SLOTS
    assert sum(map(len, history._readings.values())) <= MAX_SLOTS

    history.keep(["others"])

    assert history.of("orders") == ()
    assert not history._readings

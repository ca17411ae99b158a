"""Whose turn it is: new ones first, and what changes more often than what does not."""

from viewer.aws.turns import Turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def turns(keys: str) -> tuple[Turns[str], Clock]:
    clock = Clock()
    made = Turns[str](1, 8, clock)
    made.keep(keys)
    return made, clock


def ask(turns: Turns[str], *, changed: str = "", many: int = 100) -> list[str]:
    asked = turns.next(many, many)
    for key in asked:
        turns.note(key, changed=key in changed)
    return sorted(asked)


def test_new_ones_are_asked_at_once_and_apart_from_the_others() -> None:
    made, clock = turns("abc")

    assert sorted(made.next(2, 0)) == sorted(made.next(2, 9))
    assert len(made.next(2, 9)) == 2
    ask(made)
    clock.now = 1
    made.keep("abcde")
    assert sorted(made.next(9, 0)) == ["d", "e"]
    assert sorted(made.next(0, 9)) == ["a", "b", "c"]


def test_what_does_not_change_is_asked_less_and_less_often() -> None:
    made, clock = turns("ab")
    counts = {"a": 0, "b": 0}
    for second in range(33):
        clock.now = second
        for key in ask(made, changed="a"):
            counts[key] += 1

    assert counts["a"] == 33
    assert counts["b"] == 7  # at 0, 1, 3, 7, 15, 23 and 31


def test_those_that_waited_longest_come_first() -> None:
    made, clock = turns("abcd")
    ask(made, changed="abcd")
    clock.now = 1
    first = ask(made, changed="abcd", many=2)
    clock.now = 2

    assert set(made.next(0, 2)).isdisjoint(first)


def test_one_in_a_hurry_comes_first() -> None:
    made, clock = turns("abcdefgh")
    ask(made, changed="abcdefgh")
    made.hurry("fx")

    assert made.next(0, 9) == ["f"]
    clock.now = 1
    assert made.next(0, 1) == ["f"]


def test_what_is_gone_is_forgotten() -> None:
    made, clock = turns("ab")
    ask(made)
    made.keep("b")
    clock.now = 99

    assert made.next(9, 9) == ["b"]

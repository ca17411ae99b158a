"""Which topics the patterns of WATCH name."""

import pytest

from pipeline.watching import parse_patterns

NAMES = ("orders", "orders.fifo", "orders-eu", "orders-eu-internal", "internal-audit", "Orders", "a_b")


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("*", NAMES),
        ("orders", ("orders",)),
        ("orders-*", ("orders-eu", "orders-eu-internal")),
        ("orders*, a_b", ("orders", "orders.fifo", "orders-eu", "orders-eu-internal", "a_b")),
        ("*.fifo", ("orders.fifo",)),
        ("*,!internal-*", tuple(name for name in NAMES if name != "internal-audit")),
        ("!internal-*", tuple(name for name in NAMES if name != "internal-audit")),
        ("!*internal*,orders-*", ("orders-eu",)),
        ("nothing", ()),
    ],
)
def test_patterns_name_topics(text: str, matched: tuple[str, ...]) -> None:
    patterns = parse_patterns(text)

    assert tuple(filter(patterns.match, NAMES)) == matched


def test_patterns_that_include_no_topic_are_known() -> None:
    assert parse_patterns("orders,refunds-*,!orders-*").unused(NAMES) == ["refunds-*"]
    assert parse_patterns("orders-*,!orders-*").unused(NAMES) == ["orders-*"]
    assert parse_patterns("*").unused([]) == ["*"]


@pytest.mark.parametrize(
    "text", ["", " ", ",", "a,", "!", "!!a", "a b", "a?", "[a]", "ä", "a\nb", "a.b.c", "a/b"]
)
def test_malformed_patterns_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no name of a topic"):
        parse_patterns(text)


@pytest.mark.parametrize(("text", "said"), [("a" * 2001, "characters"), ("a," * 50 + "a", "50 patterns")])
def test_patterns_that_would_not_fit_into_a_policy_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_patterns(text)

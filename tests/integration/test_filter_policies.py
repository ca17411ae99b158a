"""What the viewer says of random filter policies and messages, compared with what LocalStack delivers."""

import pytest

from tests.support.filter_policies import OPERATORS, Comparison, compare, judge, random_groups

SEED = 3
PAIRS = 200


@pytest.fixture(scope="module")
def comparison(localstack_port: int) -> Comparison:
    return judge(compare(random_groups(SEED, PAIRS), localstack_port))


def test_messages_are_delivered_as_the_viewer_says(comparison: Comparison) -> None:
    assert comparison.unknown == []


def test_every_operator_takes_messages_and_refuses_others(comparison: Comparison) -> None:
    assert comparison.outcomes == {operator: {"taken", "refused"} for operator in OPERATORS}


def test_most_pairs_are_no_exceptions(comparison: Comparison) -> None:
    assert comparison.comparable > PAIRS / 2
    assert comparison.agreed["taken"] > PAIRS / 5
    assert comparison.agreed["refused"] > PAIRS / 5
    assert comparison.agreed["malformed"]

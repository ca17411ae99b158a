"""The terms by which a message is found."""

import json
from time import process_time
from typing import Any

import pytest

from pipeline.search.terms import MAX_TERMS, index_terms
from tests.support.examples import arrival


@pytest.mark.parametrize(
    "data",
    [
        {"k" * 500_000: [1] * 150_000},
        {"k" * 40_000: {"k" * 40_000: {"k" * 40_000: [1] * 300_000}}},
        [[[[]]]] * 100_000,
        {f"{number:x}": number for number in range(70_000)},
        "".join(chr(0x4E00 + number % 20_000) for number in range(340_000)),
    ],
    ids=["a long name", "long names", "brackets", "many names", "many words"],
)
def test_no_message_takes_long_to_index(data: Any) -> None:
    assert len(json.dumps(data, ensure_ascii=False).encode()) < 1_048_576
    message = arrival(data).message

    began = process_time()
    terms = index_terms(message, {}, "queue")

    assert process_time() - began < 3
    assert 5 <= len(terms) <= MAX_TERMS


def test_a_value_under_a_name_that_no_search_can_hold_is_found_by_its_words() -> None:
    terms = index_terms(arrival({"short": {"k" * 2_000: "needle", "near": "pin"}}).message, {}, "queue")

    assert "needle" in terms
    assert "data.short.near=pin" in terms
    assert not [term for term in terms if term.startswith("data.") and "needle" in term]

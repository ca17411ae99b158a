"""FIFO: what group a message is published in, and which messages SNS may drop as duplicates."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.fifo import deduplication_id, group_of
from pipeline.message import message_from_event, new_message

EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order"}


def group(**members: Any) -> str:
    return group_of(message_from_event({**EVENT, **members}, datetime.now(UTC)))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "/shop"),
        ({"subject": "A-1"}, "A-1"),
        ({"subject": "A-1", "partitionkey": "eu"}, "eu"),
        ({"subject": "", "partitionkey": 7}, "/shop"),
    ],
)
def test_a_message_is_in_the_group_of_its_partition_key_its_subject_or_its_source(
    members: dict[str, Any], expected: str
) -> None:
    assert group(**members) == expected


@pytest.mark.parametrize("subject", ["Order 1", "Größe", "x" * 129, "\ud800"])
def test_what_sns_takes_for_no_group_is_hashed(subject: str) -> None:
    assert len(group(subject=subject)) == 64
    assert group(subject=subject) == group(subject=subject) != group(subject=f"{subject}!")


def test_only_the_same_message_has_the_same_deduplication_id() -> None:
    """SNS drops the others of an id in silence: also a conflict, and an event of another source."""
    message = new_message("/shop", "order", {"sku": "A-1"})

    assert deduplication_id(message) == deduplication_id(replace(message))
    assert deduplication_id(message) != deduplication_id(replace(message, source="/other"))
    assert deduplication_id(message) != deduplication_id(replace(message, body=f"{message.body} "))
    assert len(deduplication_id(message)) <= 128

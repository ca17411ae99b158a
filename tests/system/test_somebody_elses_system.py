"""Someone else's system is the same with Fanout beside it: every body, attribute, receive count and order."""

import os
from collections.abc import Callable

import pytest
import requests

from tests.support.somebody_else import SomebodyElse, inventory
from tests.support.waiting import wait_for
from tests.support.watching import Watch

MESSAGES = int(os.environ.get("WATCHED_MESSAGES", "120"))


def stored(running: Watch) -> int:
    answer = requests.get(f"http://127.0.0.1:{running.port}/api/messages/count", timeout=10)
    return int(answer.json()["count"])


def live(system: SomebodyElse, messages: int) -> None:
    """Let its consumers take so many messages."""
    with system.consuming():
        system.publish(messages)
        system.wait_until_drained()


def test_everything_that_its_consumers_see_is_equal_with_and_without_fanout(
    emulator: str, open_account: Callable[[str], dict[str, str]], watch: Callable[..., Watch]
) -> None:
    open_account(emulator)
    alone = SomebodyElse()
    live(alone, MESSAGES)

    account = open_account(emulator)
    beside = SomebodyElse()
    before = inventory()
    running = watch(account)
    wait_for(running.is_watching, seconds=30)
    live(beside, MESSAGES)

    assert beside.everything() == alone.everything()
    assert beside.dead() == alone.dead()
    assert sum(alone.dead().values()) > 0
    wait_for(lambda: stored(running) == MESSAGES, what="every message, once, in Fanout")
    running.interrupt()
    assert running.process.wait(30) == 0
    assert inventory() == before


@pytest.mark.parametrize("emulator", ["localstack"])
def test_the_system_has_consumers_that_get_only_a_part(
    emulator: str, open_account: Callable[[str], dict[str, str]]
) -> None:
    """Otherwise, the comparison would say nothing of filter policies."""
    open_account(emulator)
    system = SomebodyElse()
    live(system, 120)

    counts = {name: seen.count for name, seen in system.seen.items()}

    assert len(set(counts.values())) > 3
    assert any(counts.values())

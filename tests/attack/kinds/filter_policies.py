"""Filter policies: what the viewer says of random policies and messages, compared with LocalStack."""

import contextlib
import random
from collections.abc import Iterator

from local.emulators import start_emulator
from local.process import stop_all
from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.filter_policies import OPERATORS, compare, judge, random_groups
from tests.support.ports import free_port

PAIRS = 2_000
KIND = "filter policies and messages"


def attack(system: System, tally: Tally) -> None:
    """Ask both of random pairs: each difference must be a known one."""
    seed = random.randrange(2**32)
    with _localstack(system) as port:
        comparison = judge(compare(random_groups(seed, system.size(PAIRS, 50)), port))
    tally.count(KIND, "agreed", comparison.agreed.total())
    tally.count(KIND, "known difference", comparison.known.total())
    for pair in comparison.unknown:
        tally.count(KIND, "unknown difference", example=f"seed {seed}: {pair}")
    missing = [name for name in OPERATORS if comparison.outcomes.get(name) != {"taken", "refused"}]
    tally.require(system.share < 1 or not missing, f"seed {seed}: {missing} had one outcome only")


@contextlib.contextmanager
def _localstack(system: System) -> Iterator[int]:
    """The port of a LocalStack: that of the system, or one of its own."""
    if system.emulator == "localstack":
        yield int(system.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        return
    port = free_port()
    process = start_emulator("localstack", port, system.folder / "localstack")
    try:
        yield port
    finally:
        stop_all([process], 2)

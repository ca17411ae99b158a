"""`make attack`: starts a system, attacks it, and ends with tables of what became of the inputs.

`python -m tests.attack [--share 0.02] [--report] [KIND ...]` on EMULATOR (ministack or localstack). The exit
status is 1 if any rule was violated.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from tests.attack import report
from tests.attack.kinds import (
    doors,
    filter_policies,
    identities,
    logs,
    malformed,
    messages,
    restart,
    searches,
    secrets,
    slow_clients,
)
from tests.attack.system import System, open_system
from tests.attack.tally import Tally
from tests.attack.watch import Measures
from tests.bench.report import where, write_section

Attack = Callable[[System, Tally], None]

# In this order: the last one stops the consumers, and replaces the emulator.
ATTACKS: Final[Mapping[str, Attack]] = {
    "messages": messages.attack,
    "identities": identities.attack,
    "malformed": malformed.attack,
    "doors": doors.attack,
    "secrets": secrets.attack,
    "logs": logs.attack,
    "searches": searches.attack,
    "slow_clients": slow_clients.attack,
    "filter_policies": filter_policies.attack,
    "restart": restart.attack,
}
MAX_HEALTH_SECONDS = 1.0
MAX_PAGE_SECONDS = 5.0
# Half of the limit of each pod (kubernetes/viewer.yaml, kubernetes/consumer.yaml).
MAX_MEMORY_MIB = {"viewer": 256, "consumer": 128}


def main() -> int:
    """Run the attacks named by the arguments, or all."""
    arguments = _read_arguments()
    tally, measured = Tally(), {}
    emulator = os.environ.get("EMULATOR", "ministack")
    with open_system(emulator, arguments.share) as system:
        for name, attack in ATTACKS.items():
            if name in (arguments.kinds or ATTACKS):
                measured[name] = _run(name, attack, system, tally)
    tables = f"{report.inputs(tally)}\n\n{report.services(measured)}"
    if arguments.report:
        name = {"ministack": "MiniStack", "localstack": "LocalStack"}[emulator]
        write_section(f"On {name}", f"Measured {where(name)}.\n\n{tables}", "attack.md")
    else:
        print(f"\n{tables}")
    for violation in tally.violations:
        print(f"violated: {violation}")
    print("every rule held" if not tally.violations else f"{len(tally.violations)} violations")
    return 1 if tally.violations else 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.attack")
    parser.add_argument("--share", type=float, default=1.0, help="the share of the full size")
    parser.add_argument("--report", action="store_true", help="write docs/attack.md")
    parser.add_argument("kinds", nargs="*", choices=[*ATTACKS, []], help="which attacks; all without it")
    return parser.parse_args()


def _run(name: str, attack: Attack, system: System, tally: Tally) -> dict[str, Measures]:
    """Run one attack while the services are watched; an attack that breaks off is a violation, too."""
    print(f"{name} …", flush=True)
    began = time.monotonic()
    system.watch.begin()
    try:
        attack(system, tally)
    except Exception as error:  # noqa: BLE001 - the other attacks are still wanted
        tally.require(False, f"{name} broke off: {type(error).__name__}: {error}")
    measures = system.watch.measures()
    # The producer is not attacked: what it takes is the delay of a busy machine.
    delay = measures.pop("producer").slowest_health
    for service, one in measures.items():
        _judge(f"{name}: {service}", one, delay, tally)
    print(f"  {time.monotonic() - began:.0f} s, {len(tally.violations)} violations so far", flush=True)
    return measures


def _judge(what: str, measures: Measures, delay: float, tally: Tally) -> None:
    limit = MAX_MEMORY_MIB["viewer" if "viewer" in what.partition(":")[2] else "consumer"]
    tally.require(
        measures.memory_highest <= limit, f"{what} used {measures.memory_highest:.0f} MiB, more than {limit}"
    )
    tally.require(
        measures.slowest_health <= MAX_HEALTH_SECONDS + delay and not measures.failed_health,
        f"{what} took {measures.slowest_health:.2f} s for /health and failed {measures.failed_health} times"
        f" (the producer, which is not attacked: {delay:.2f} s)",
    )
    tally.require(
        measures.slowest_page <= MAX_PAGE_SECONDS + delay and not measures.failed_page,
        f"{what} took {measures.slowest_page:.2f} s for the list and failed {measures.failed_page} times",
    )


if __name__ == "__main__":
    sys.exit(main())

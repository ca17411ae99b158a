"""How an attack ends: tables of what became of the inputs, and of memory and answers meanwhile."""

from collections.abc import Mapping

from tests.attack.tally import OUTCOMES, Tally
from tests.attack.watch import Measures
from tests.bench.report import markdown


def inputs(tally: Tally) -> str:
    """Return the table of what became of the inputs, by kind, with the outcomes that occurred."""
    outcomes = [name for name in OUTCOMES if any(tally.counts[kind, name] for kind in tally.kinds)]
    rows = []
    for kind in [*tally.kinds, "all"]:
        kinds = tally.kinds if kind == "all" else [kind]
        counts = [sum(tally.counts[one, name] for one in kinds) for name in outcomes]
        rows.append([kind, f"{sum(counts):,}", *(f"{count:,}" if count else "" for count in counts)])
    return markdown(" | ".join(["input", "tried", *outcomes]), rows)


def services(measured: Mapping[str, Mapping[str, Measures]]) -> str:
    """Return the table of memory and the slowest answers of all viewers and consumers during each attack."""
    rows = []
    for attack, services in measured.items():
        viewers, consumers = (
            [one for service, one in services.items() if kind in service] for kind in ("viewer", "consumer")
        )
        everybody = [*viewers, *consumers]
        rows.append(
            [
                attack,
                _memory(viewers),
                _memory(consumers),
                f"{max(one.slowest_health for one in everybody):.2f}",
                f"{max(one.slowest_page for one in viewers):.2f}",
            ]
        )
    heads = "attack | viewer (MiB) | consumer (MiB) | slowest /health (s) | slowest list (s)"
    return markdown(heads, rows)


def _memory(services: list[Measures]) -> str:
    """Return before, highest and after of the one that used most."""
    most = max(services, key=lambda one: one.memory_highest)
    return " / ".join(
        f"{value:.0f}" for value in (most.memory_before, most.memory_highest, most.memory_after)
    )

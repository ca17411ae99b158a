"""How an attack ends: tables of what became of the inputs, and of memory and answers meanwhile."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.attack.tally import OUTCOMES, Tally
from tests.attack.watch import Measures
from tests.bench.report import markdown

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "attack.md"
MEANINGS = {
    "stored": "in the store",
    "dead": "a dead letter with its reason",
    "conflict": "kept beside the message of the same identity",
    "served": "answered, and nothing wrong with it",
    "refused": "4xx, or refused by SQS",
    "busy": "429 or 503: try again later",
    "closed": "the connection was closed without an answer",
    "5xx": "a failure of the server",
    "lost": "gone without a trace",
    "leaked": "let through a door, or a masked value that could be learned",
    "forged": "a log line that was forged or broken",
}


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
    """Return the table of memory (MiB) and the slowest answers (s) of each service during each attack."""
    rows: list[Sequence[str]] = [
        [
            attack,
            service,
            *(f"{value:.0f}" for value in (one.memory_before, one.memory_highest, one.memory_after)),
            f"{one.slowest_health:.2f}",
            f"{one.slowest_page:.2f}" if one.slowest_page else "",
        ]
        for attack, services in measured.items()
        for service, one in services.items()
        if service != "producer"
    ]
    heads = "attack | service | MiB before | highest | after | slowest /health (s) | slowest list (s)"
    return markdown(heads, rows)


def write(tables: Sequence[str], where: str) -> None:
    """Write docs/attack.md."""
    meanings = "\n".join(f"- **{name}**: {meaning}" for name, meaning in MEANINGS.items())
    text = f"""# Attack

`make attack` runs a collection of attacks against a running system, and fails if one of them succeeded.
`EMULATOR=localstack make attack` does it on LocalStack, `REPORT=1 make attack` writes this page. A small
share of every attack runs in `make test`.

Measured {where}.

## Inputs

{tables[0]}

{meanings}

## Services

Memory is the proportional set size of all processes of a service, which is what the limit of a pod counts.
The list is what an innocent reader asks for meanwhile.

{tables[1]}
"""
    DOCUMENT.write_text(text)

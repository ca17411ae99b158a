"""How measurements are told: tables with their goals, and where they were made."""

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence

import psutil

from local.emulators import ROOT
from tests.bench.setup import Bench

TIMES_AT_START = psutil.cpu_times()


def percentiles(values: Sequence[float]) -> list[float]:
    """Return the 99 values that cut these into hundredths; the 95th percentile is at 94."""
    return statistics.quantiles(values, n=100, method="inclusive")


def goals(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return the table of measures with their goals."""
    return markdown("measure | figure | goal", [(name, f"{value:.3g}", goal) for name, value, goal in rows])


def details(bench: Bench) -> str:
    """Return the table of all that was noted."""
    return markdown(
        "in detail | median | rounds",
        [
            (name, f"{bench.median(name):.4g}", ", ".join(f"{value:.4g}" for value in values))
            for name, values in bench.figures.items()
        ],
    )


def markdown(heads: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, " | ".join("---" for _ in heads.split(" | ")), *map(" | ".join, rows)]
    return "\n".join(f"| {line} |" for line in lines)


def where(emulator: str = "LocalStack 4.14.0") -> str:
    """Return which commit was measured, and on what."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"at {commit or 'no commit'}, on {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {emulator} and PostgreSQL on the same machine, "
        f"CPU steal time {stolen_share():.0%}"
    )


def stolen_share() -> float:
    """Return the share of CPU time since the start that a virtual machine was not given though it asked."""
    passed = [now - then for now, then in zip(psutil.cpu_times(), TIMES_AT_START, strict=True)]
    stolen: float = dict(zip(TIMES_AT_START._fields, passed, strict=True)).get("steal", 0.0)
    return stolen / sum(passed)


def write_section(title: str, text: str, document: str = "benchmark.md") -> None:
    """Put this section into a document of docs/, in place of the one of the same title."""
    file = ROOT / "docs" / document
    head, *sections = re.split(r"^## ", file.read_text(), flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: section for section in sections}
    kept[title] = f"{title}\n\n{text}\n\n"
    file.write_text("## ".join([head, *kept.values()]).rstrip("\n") + "\n")
    print(f"\n{text}")

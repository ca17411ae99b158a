"""The tally: how many inputs of each kind were tried, what became of them, and which rules were violated."""

from collections import Counter
from dataclasses import dataclass, field

# What can become of an input, in the order of the report. The last five violate a rule.
OUTCOMES = (
    "stored",
    "dead",
    "conflict",
    "served",
    "refused",
    "busy",
    "closed",
    "agreed",
    "known difference",
    "5xx",
    "lost",
    "leaked",
    "forged",
    "unknown difference",
)
VIOLATIONS = ("5xx", "lost", "leaked", "forged", "unknown difference")
MAX_EXAMPLES = 5


@dataclass
class Tally:
    """Counts the inputs of one attack after the other."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """Every kind of input, in the order of their first."""
        return list(dict.fromkeys(kind for kind, _ in self.counts))

    def count(self, kind: str, outcome: str, number: int = 1, example: object = "") -> None:
        """Count inputs of this kind; an outcome that violates a rule is told with the first examples."""
        if not number:
            return
        before = self.counts[kind, outcome]
        self.counts[kind, outcome] += number
        if outcome in VIOLATIONS and before < MAX_EXAMPLES:
            self.violations.append(f"{kind}: {outcome}" + (f": {example}" if example else ""))

    def count_status(self, kind: str, status: int | None, example: object = "") -> None:
        """Count a request by the status of its answer; None if the connection was closed without one."""
        self.count(kind, outcome_of(status), example=example if example != "" else status)

    def require(self, condition: bool, violation: str) -> None:
        """Note this violation unless the condition holds."""
        if not condition:
            self.violations.append(violation)


def outcome_of(status: int | None) -> str:
    """Return the outcome of a request that was answered with this status, or not at all."""
    if status is None:
        return "closed"
    if status < 400:
        return "served"
    if status in (429, 503):
        return "busy"
    return "refused" if status < 500 else "5xx"

"""Which topics are watched: the patterns of WATCH."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

# The policy of the tap's queue holds all patterns, and SQS accepts 8,192 bytes ("Amazon SQS policy quotas").
MAX_PATTERNS = 50
MAX_LENGTH = 2_000
ALL = "*"

# The characters of names of topics ("CreateTopic", AWS); a FIFO topic ends with .fifo.
_PATTERN = re.compile(r"[A-Za-z0-9_*-]{1,256}(\.[A-Za-z*]{1,5})?")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns of names of topics: a topic is watched if one of `included` matches it and no `excluded`."""

    included: Sequence[str]
    excluded: Sequence[str]

    def match(self, name: str) -> bool:
        """Return whether the topic of this name is watched."""
        return _any_matches(self.included, name) and not _any_matches(self.excluded, name)

    def unused(self, names: Iterable[str]) -> list[str]:
        """Return the patterns that include none of these names."""
        known = [name for name in names if not _any_matches(self.excluded, name)]
        return [one for one in self.included if not any(fnmatchcase(name, one) for name in known)]


def parse_patterns(text: str) -> Patterns:
    """Return the patterns of `orders-*,payments,!*-internal`; only exclusions mean all but these.

    Raises ValueError that says what is wrong.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"should have at most {MAX_LENGTH:,} characters")
    patterns = [part.strip() for part in text.split(",")]
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"should have at most {MAX_PATTERNS} patterns")
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern.removeprefix("!")):
            raise ValueError(
                f"{pattern!r} is no name of a topic; * stands for any characters, and ! before it excludes"
            )
    excluded = tuple(one[1:] for one in patterns if one.startswith("!"))
    included = tuple(one for one in patterns if not one.startswith("!"))
    return Patterns(included or (ALL,), excluded)


def _any_matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, one) for one in patterns)

"""What goes wrong.

FanoutError          the viewer cannot be reached, or refuses the request
AssertionError
├── NoMatch          a message was expected and did not come
└── UnexpectedMatch  a message came that should not
"""

from collections.abc import Sequence

from fanout_client.messages import Message, NearMiss

MAX_PREVIEW = 60


class FanoutError(Exception):
    """The viewer cannot be reached, or refuses the request; `status` is that of its answer, or None."""

    def __init__(self, text: str, status: int | None = None) -> None:
        """Take the text for the reader."""
        super().__init__(text)
        self.status = status


class NoMatch(AssertionError):
    """Fewer messages matched than were expected. `near_misses` are those that came closest."""

    def __init__(
        self, query: str, count: int, within: float, found: Sequence[Message], near_misses: Sequence[NearMiss]
    ) -> None:
        """Say what was expected, and what came instead."""
        self.query, self.found, self.near_misses = query, found, near_misses
        many = "no message" if count == 1 else f"{len(found)} of {count} messages"
        lines = [f"{many} matched {query!r} within {within:g} s"]
        for miss in near_misses:
            lines.append(f"  message {miss.seq} ({miss.type}: {_short(miss.preview)})")
            lines.append(f"    missed {miss.failed}: {miss.actual}")
        if not near_misses:
            lines.append("  nothing came close; was anything published?")
        super().__init__("\n".join(lines))


class UnexpectedMatch(AssertionError):
    """A message matched that should not have come."""

    def __init__(self, query: str, message: Message) -> None:
        """Say what came."""
        self.query, self.message = query, message
        shown = f"message {message.seq} ({message.type}: {_short(message.preview)})"
        super().__init__(f"{shown} matched {query!r}, but none was expected")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_PREVIEW else f"{line[: MAX_PREVIEW - 1]}…"

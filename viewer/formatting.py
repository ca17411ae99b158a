"""Times, durations and statuses as the page shows them; core/format.js must do the same."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

STATUS_LABELS = {"dead": "✖ dead", "failed": "✖ failed", "lost": "✖ lost", "duplicate": "⇉ twice"}


DIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str | None) -> str:
    """Return the text with characters that change its direction shown instead of obeyed."""
    return DIRECTIONAL.sub(lambda sign: f"⟦U+{ord(sign[0]):04X}⟧", text or "")


def status_label(status: str | None) -> str:
    """Return how the list marks a message with this status; most have none."""
    return STATUS_LABELS.get(status or "", "")


def rfc3339(time: datetime) -> str:
    """Return the time as all answers have it, so that they sort as texts, too."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def clock(time: str | None) -> str:
    """Return the time of day, in UTC, of an RFC 3339 time; the page turns it into the reader's time zone."""
    return f"{datetime.fromisoformat(time):%H:%M:%S}" if time else ""


def duration(seconds: float | None, sign: str = "") -> str:
    """Return a duration for people; `sign` is put before one that is not negative."""
    if seconds is None:
        return ""
    return f"−{_length(-seconds)}" if seconds < 0 else f"{sign}{_length(seconds)}"  # noqa: RUF001 - a minus


def _length(seconds: float) -> str:
    if seconds < 0.9995:
        return f"{int(seconds * 1000 + 0.5)} ms"
    if seconds < 59.95:
        return f"{int(seconds * 10 + 0.5) / 10:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3600)} h"


def gaps(times: Sequence[str]) -> list[float | None]:
    """Return the seconds from each time to the one before it, of RFC 3339 times, newest first.

    As the page does: in whole milliseconds, and None for the oldest.
    """
    parsed = [(datetime.fromisoformat(time) - EPOCH) // timedelta(milliseconds=1) for time in times]
    between = [(time - before) / 1000 for time, before in pairwise(parsed)]
    return [*between, None] if parsed else []

"""How the page writes times and durations; viewer.js writes what arrives later in the same words."""

from datetime import datetime

# What a list says of a message beside its tries, by its status.
FATES = {"dead": "✖ dead", "failed": "✖ failed", "duplicate": "⇉ twice"}


def fate(status: str | None) -> str:
    """Return what to say of a message with this status, if anything."""
    return FATES.get(status or "", "")


def clock(time: str | None) -> str:
    """Return the time of day of an RFC 3339 time, in UTC: the page turns it into the reader's own."""
    return f"{datetime.fromisoformat(time):%H:%M:%S}" if time else ""


def duration(seconds: float | None, sign: str = "") -> str:
    """Return a duration as a person says it; `sign` stands before one that is not negative."""
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

"""Long polling: a request that waits until enough messages match.

The position of a reader is a cursor, never a count, so that deleting messages makes it neither miss nor
repeat one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.problems import Problem
from pipeline.search.sql import Search
from pipeline.store.reader import NearMiss, Reader, Summary
from pipeline.store.searches import SearchFailed
from viewer.live.hub import Hub

# The shortest time between two queries, however fast messages come.
LOOK_SECONDS = 0.1
# The status of stored messages changes without a new message.
RELOOK_SECONDS = 0.5
# How much longer than its query a request waits before the next one: it takes a small share of the database.
RESTS = 10
NEAR_MISSES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """The messages that a request asks for; see Reader.find."""

    search: Search
    limit: int
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Messages, newest first, and the cursor after which the next request should look."""

    messages: Sequence[Summary]
    cursor: int


def wait_for(reader: Reader, hub: Hub, asked: Asked, count: int, seconds: float) -> Found:
    """Return the messages as soon as at least `count` match; after `seconds`, return those that do."""
    deadline = time.monotonic() + seconds
    with hub.following(asked.search) as following:
        while True:
            began = time.monotonic()
            found = look(reader, hub, asked)
            took = time.monotonic() - began
            left = deadline - began - took
            if len(found.messages) >= count or left <= 0:
                return found
            hub.pause(min(max(LOOK_SECONDS, RESTS * took), left))
            left = deadline - time.monotonic()
            following.wait(found.cursor, left if asked.search.lasting else min(RELOOK_SECONDS, left))
            if hub.stopping:
                raise Problem(503, "the viewer is stopping; ask again")


def look(reader: Reader, hub: Hub, asked: Asked) -> Found:
    """Return the messages that match now."""
    # Read before the messages: one stored in between is in the answer or after its cursor.
    newest = hub.newest_stored()
    messages = reader.find(asked.search, limit=asked.limit, before=asked.before, after=asked.after)
    highest = messages[0].seq if messages else 0
    more_follow = asked.after is not None and asked.before is None and len(messages) == asked.limit
    return Found(messages, highest if more_follow else max(newest, highest))


def near_misses(reader: Reader, asked: Asked) -> list[NearMiss]:
    """Return the messages that came closest to matching; none if to find them costs too much."""
    if not asked.search.conditions:
        return []
    try:
        return reader.nearest(asked.search, limit=NEAR_MISSES, after=asked.after)
    except SearchFailed:
        return []  # they are a help, which the answer can do without

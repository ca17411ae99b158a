"""Replays: what was asked for, how far each has come, and how it ended.

The viewer that makes a replay notes each message before it sends it. So every viewer, also after a restart,
can say how far it came, and that one message may have been sent. A replay whose viewer has been silent for a
while is over: none goes on by itself, since nobody knows what became of the message in hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString, TypeAlias

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pipeline.message import storable
from pipeline.store.connection import Database

Status: TypeAlias = Literal["running", "cancelling", "cancelled", "completed", "failed", "interrupted"]

# Longer than one message takes: its viewer tells of each, and while it waits.
MAX_SILENCE_SECONDS = 30
MAX_KEPT: LiteralString = "100"
SILENT = "its viewer has stopped, or cannot reach the database"

_COLUMNS: LiteralString = """
    id, q, topic, queue, per_second, identity, status, total, sent, failed, skipped, reasons, in_hand, reason,
    started_at, ended_at"""
_IS_RUNNING: LiteralString = "status IN ('running', 'cancelling')"


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay; see the migration for its columns. Each of `reasons` has `outcome`, `reason` and `count`."""

    id: int
    q: str | None
    topic: str | None
    queue: str | None
    per_second: int | None
    identity: str | None
    status: Status
    total: int
    sent: int
    failed: int
    skipped: int
    reasons: Sequence[Mapping[str, Any]]
    in_hand: int | None
    reason: str | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a replay should do; see Replay."""

    total: int
    q: str | None
    topic: str | None
    queue: str | None
    per_second: int | None
    identity: str | None


@dataclass(slots=True)
class Count:
    """How far a replay has come."""

    sent: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: Sequence[Mapping[str, Any]] = ()
    in_hand: int | None = None


class Replays:
    """The replays of this store. Methods raise psycopg.OperationalError while the store is away."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def begin(self, wanted: Wanted) -> int | None:
        """Record a new one; return its id, or None while another is running."""
        values = {name: getattr(wanted, name) for name in Wanted.__slots__}
        values["q"] = None if wanted.q is None else storable(wanted.q)
        self._give_up_silent()
        with self._database.connection() as connection:
            try:
                found = connection.execute(
                    """INSERT INTO replays (total, q, topic, queue, per_second, identity, status) VALUES (
                           %(total)s, %(q)s, %(topic)s, %(queue)s, %(per_second)s, %(identity)s, 'running'
                       ) RETURNING id""",
                    values,
                ).fetchone()
            except psycopg.errors.UniqueViolation:
                return None
            assert found is not None
            connection.execute(
                f"DELETE FROM replays WHERE id NOT IN "
                f"(SELECT id FROM replays ORDER BY id DESC LIMIT {MAX_KEPT})"
            )
            return int(found[0])

    def note(self, replay: int, count: Count) -> bool:
        """Record how far it has come; return whether it should go on: it is not cancelled, nor given up."""
        with self._database.connection() as connection:
            found = connection.execute(
                f"""UPDATE replays SET sent = %(sent)s, failed = %(failed)s, skipped = %(skipped)s,
                           reasons = %(reasons)s, in_hand = %(in_hand)s, seen_at = clock_timestamp()
                    WHERE id = %(id)s AND {_IS_RUNNING} RETURNING status""",
                _row(replay, count),
            ).fetchone()
            return found is not None and found[0] == "running"

    def end(self, replay: int, count: Count, status: Status, reason: str | None) -> None:
        """Record how it ended, unless it was given up before."""
        with self._database.connection() as connection:
            connection.execute(
                f"""UPDATE replays SET sent = %(sent)s, failed = %(failed)s, skipped = %(skipped)s,
                           reasons = %(reasons)s, in_hand = %(in_hand)s,
                           status = %(status)s, reason = %(reason)s, ended_at = clock_timestamp()
                    WHERE id = %(id)s AND {_IS_RUNNING}""",
                {**_row(replay, count), "status": status, "reason": reason},
            )

    def cancel(self, replay: int) -> bool:
        """Ask for its end; return whether it was running."""
        self._give_up_silent()
        with self._database.connection() as connection:
            changed = connection.execute(
                f"UPDATE replays SET status = 'cancelling' WHERE id = %s AND {_IS_RUNNING}", [replay]
            )
            return changed.rowcount > 0

    def get(self, replay: int) -> Replay | None:
        """Return one of them."""
        return next(iter(self._read("WHERE id = %s", [replay])), None)

    def newest(self, limit: int) -> list[Replay]:
        """Return the last ones, newest first."""
        return self._read("ORDER BY id DESC LIMIT %s", [limit])

    def _read(self, which: LiteralString, values: Sequence[object]) -> list[Replay]:
        self._give_up_silent()
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Replay))
            return cursor.execute(f"SELECT {_COLUMNS} FROM replays {which}", values).fetchall()

    def _give_up_silent(self) -> None:
        with self._database.connection() as connection:
            connection.execute(
                f"""UPDATE replays SET status = 'interrupted', reason = %s, ended_at = clock_timestamp()
                    WHERE {_IS_RUNNING} AND seen_at < clock_timestamp() - make_interval(secs => %s)""",
                [SILENT, MAX_SILENCE_SECONDS],
            )


def _row(replay: int, count: Count) -> dict[str, object]:
    values = {name: getattr(count, name) for name in Count.__slots__}
    return {**values, "id": replay, "reasons": Jsonb([dict(one) for one in count.reasons])}

"""The share of messages that fail on purpose: set on the page, read by consumers that run with FAULTS.

It is kept in the store, which both of them reach.
"""

from typing import Any, LiteralString

from pipeline.store.connection import Database

BEGIN: LiteralString = """
    INSERT INTO faults (fail) VALUES (%s)
    ON CONFLICT (one) DO UPDATE SET fail = excluded.fail, seen_at = excluded.seen_at RETURNING fail"""
FOLLOW: LiteralString = "UPDATE faults SET seen_at = clock_timestamp() RETURNING fail"
SEEN: LiteralString = "WHERE seen_at > clock_timestamp() - interval '5 s'"


class FaultShare:
    """A share from 0 to 1. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Keep it in this database."""
        self._database = database

    def begin(self, share: float) -> float:
        """Set it to the value of FAULTS, when a consumer starts."""
        [begun] = self._run(BEGIN, share)
        return float(begun)

    def follow(self) -> float:
        """Return it, and record that a consumer follows it. To be called once a second, after `begin`."""
        [share] = self._run(FOLLOW)
        return float(share)

    def read(self) -> float | None:
        """Return it, or None if no consumer has followed it for 5 seconds."""
        return next(iter(self._run(f"SELECT fail FROM faults {SEEN}")), None)

    def choose(self, share: float) -> bool:
        """Set it if a consumer follows it; return whether one does."""
        return bool(self._run(f"UPDATE faults SET fail = %s {SEEN} RETURNING fail", share))

    def _run(self, statement: LiteralString, *values: float) -> list[Any]:
        with self._database.connection() as connection:
            return [row[0] for row in connection.execute(statement, values)]

"""The share of messages that fail on purpose: chosen at the page, followed by consumers that have FAULTS.

It lives in the store, the one place that both reach; no consumer listens for it.
"""

from typing import Any, LiteralString

from pipeline.store import Store

BEGIN: LiteralString = """
    INSERT INTO faults (fail) VALUES (%s)
    ON CONFLICT (one) DO UPDATE SET fail = excluded.fail, seen_at = excluded.seen_at RETURNING fail"""
FOLLOW: LiteralString = "UPDATE faults SET seen_at = clock_timestamp() RETURNING fail"
SEEN: LiteralString = "WHERE seen_at > clock_timestamp() - interval '5 s'"


class FaultShare:
    """A share from 0 to 1. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, store: Store) -> None:
        """Share the store's connections."""
        self._store = store

    def begin(self, share: float) -> float:
        """Set it to what FAULTS says: each consumer that starts with FAULTS begins so."""
        [begun] = self._run(BEGIN, share)
        return float(begun)

    def follow(self) -> float:
        """Return it, and note that a consumer follows it: to be called once a second, after `begin`."""
        [share] = self._run(FOLLOW)
        return float(share)

    def read(self) -> float | None:
        """Return it; None if no consumer has followed it for some seconds."""
        return next(iter(self._run(f"SELECT fail FROM faults {SEEN}")), None)

    def choose(self, share: float) -> bool:
        """Set it, if any consumer follows it; tell whether one does."""
        return bool(self._run(f"UPDATE faults SET fail = %s {SEEN} RETURNING fail", share))

    def _run(self, statement: LiteralString, *values: float) -> list[Any]:
        with self._store.connection() as connection:
            return [row[0] for row in connection.execute(statement, values)]

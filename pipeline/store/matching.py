"""Matching: which of the newest messages each of several searches finds."""

from collections.abc import Sequence
from typing import LiteralString

import psycopg
from psycopg import sql

from pipeline.search.sql import TEXT, Search
from pipeline.store.connection import Database
from pipeline.store.searches import SearchTooSlow

# What one query may take: for all the searches in it, and for MAX_BYTES of messages.
MATCH_SECONDS = 1.0
MAX_CONNECTIONS = 2

# OFFSET 0 keeps the planner from fetching a long column anew for each search that looks at it; ts_delete
# makes a copy in memory.
NEW: LiteralString = """
    (SELECT n.seq, n.queue, n.identity, n.content, n.source, n.id, n.type, n.time, n.size, n.receive_count,
            n.conflict_of, n.topic, n.subject, n.attributes, n.body,
            ts_delete(n.terms, ARRAY[]::text[]) AS terms
     FROM messages n WHERE n.seq > {after} AND n.seq < {before} OFFSET 0) m"""


class Matching:
    """Asks a database that is used for nothing else, and that ends statements after MATCH_SECONDS."""

    def __init__(self, database: Database) -> None:
        """Open no connection yet."""
        self._database = database

    def match(self, searches: Sequence[Search], *, after: int, before: int) -> list[set[int]]:
        """Return the seqs that each search finds between the two, both excluded, by one query.

        Raises SearchTooSlow if that takes too long, and psycopg.OperationalError while the store is away.
        """
        numbers = [
            sql.SQL("CASE WHEN {} THEN {} END").format(search.sql, sql.Literal(number))
            for number, search in enumerate(searches)
        ]
        query = sql.SQL("SELECT m.seq, array_remove(ARRAY[{numbers}]::int[], NULL) FROM {new} {text}").format(
            numbers=sql.SQL(", ").join(numbers),
            new=sql.SQL(NEW).format(after=sql.Literal(after), before=sql.Literal(before)),
            text=sql.SQL(TEXT if any(search.scans for search in searches) else ""),
        )
        found: list[set[int]] = [set() for _ in searches]
        try:
            with self._database.connection() as connection:
                for seq, finders in connection.execute(query):
                    for number in finders:
                        found[number].add(seq)
        except psycopg.errors.QueryCanceled:
            raise SearchTooSlow("matching took too long") from None
        return found

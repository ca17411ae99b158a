"""What flows through topics: the last message of each, and how many were stored in the last minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from pipeline.store.connection import Database

# The condition on the length is that of the index.
READ: LiteralString = """
    SELECT t.name, l.seq, l.time, coalesce(r.count, 0) FROM unnest(%(names)s::text[]) AS t (name)
    CROSS JOIN LATERAL (
        SELECT m.seq, m.time FROM messages m WHERE m.topic = t.name AND length(m.topic) <= 256
        ORDER BY m.seq DESC LIMIT 1
    ) AS l
    LEFT JOIN (
        SELECT topic, count(*)::int AS count FROM messages
        WHERE stored_at > now() - interval '1 min' AND length(topic) <= 256 GROUP BY topic
    ) AS r ON r.topic = t.name"""


@dataclass(frozen=True, slots=True)
class Flow:
    """What flowed through a topic: its last message, by `seq` and `time`, and those of the last minute."""

    seq: int
    time: datetime
    last_minute: int


class TopicFlows:
    """Reads what flowed. Raises psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database

    def read(self, names: Sequence[str]) -> Mapping[str, Flow]:
        """Return what flowed through those of these topics of which a message is stored."""
        with self._database.connection() as connection:
            rows = connection.execute(READ, {"names": list(names)}).fetchall()
        return {name: Flow(*values) for name, *values in rows}

"""What is watched: told by consumers with WATCH, shown by the viewer.

It is kept in the store, which both of them reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from pipeline.store.connection import Database

# A tap that no consumer has told of for so long is not kept any more. On AWS they do so every 30 seconds.
MAX_SILENCE_SECONDS = 100


@dataclass(frozen=True, slots=True)
class WatchedTopics:
    """What one tap watches: names of topics, and a line for each thing that could not be done.

    `queue` is the tap's own. Topics that are `left_out` lead to a queue that is read anyway.
    """

    queue: str
    topics: Sequence[str] = ()
    left_out: Sequence[str] = ()
    problems: Sequence[str] = ()


class Taps:
    """The taps of this store. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def tell(self, watched: WatchedTopics) -> None:
        """Record what a tap watches now."""
        with self._database.connection() as connection:
            connection.execute(
                "INSERT INTO taps (queue, topics, left_out, problems) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (queue) DO UPDATE SET topics = excluded.topics, left_out = excluded.left_out, "
                "problems = excluded.problems, seen_at = excluded.seen_at",
                (watched.queue, list(watched.topics), list(watched.left_out), list(watched.problems)),
            )
            connection.execute(
                "DELETE FROM taps WHERE seen_at < clock_timestamp() - make_interval(secs => %s)",
                (MAX_SILENCE_SECONDS,),
            )

    def queues(self) -> set[str]:
        """Return the names of all queues that are taps, also of those that nobody keeps at the moment."""
        with self._database.connection() as connection:
            return {str(name) for (name,) in connection.execute("SELECT queue FROM taps")}

    def read(self) -> list[WatchedTopics]:
        """Return the taps that a consumer keeps, by the names of their queues."""
        with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(WatchedTopics)) as cursor,
        ):
            return cursor.execute(
                "SELECT queue, topics, left_out, problems FROM taps "
                "WHERE seen_at >= clock_timestamp() - make_interval(secs => %s) ORDER BY queue",
                (MAX_SILENCE_SECONDS,),
            ).fetchall()

"""Which queues are read into this store: told by each consumer of a queue, asked by those that keep a tap.

A topic that leads to one of them is not tapped, whichever consumer reads it.
"""

from pipeline.store.connection import Database

# A consumer that is away for less than that goes on counting: its messages wait in its queue.
MAX_SILENCE_MINUTES = 60


class Readers:
    """The queues of this store. Methods raise psycopg.OperationalError while the store cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def note(self, queue: str) -> None:
        """Record that this queue is read. To be called at the start and every few minutes, or more often."""
        with self._database.connection() as connection:
            connection.execute(
                "INSERT INTO readers (queue) VALUES (%s) "
                "ON CONFLICT (queue) DO UPDATE SET seen_at = excluded.seen_at "
                "WHERE readers.seen_at < excluded.seen_at - interval '1 minute'",
                (queue,),
            )

    def queues(self) -> set[str]:
        """Return the names of the queues that are read."""
        with self._database.connection() as connection:
            rows = connection.execute(
                "SELECT queue FROM readers WHERE seen_at > clock_timestamp() - make_interval(mins => %s)",
                (MAX_SILENCE_MINUTES,),
            )
            return {str(name) for (name,) in rows}

"""Samples: figures of each five seconds, kept for a day, independent of what is removed from the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg.rows import class_row

from pipeline.search.sql import IS_DUPLICATE
from pipeline.store.connection import Database

SAMPLE_SECONDS = 5
KEPT = timedelta(days=1)

RECORD: LiteralString = f"""
    INSERT INTO samples (at, stored, duplicates, failed, p50, p95, p99, visible, in_flight, delayed, dead)
    SELECT %(begin)s, stored, duplicates, failed, p[1], p[2], p[3],
           %(visible)s, %(in_flight)s, %(delayed)s, %(dead)s
    FROM (SELECT count(*) AS stored,
                 percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
                     ORDER BY extract(epoch FROM stored_at - time)::float8) AS p
          FROM messages WHERE stored_at >= %(begin)s AND stored_at < %(end)s) AS m,
         (SELECT count(*) AS duplicates FROM duplicates d JOIN messages m USING (seq)
          WHERE d.received_at >= %(begin)s AND d.received_at < %(end)s AND {IS_DUPLICATE}) AS d,
         (SELECT count(*) AS failed FROM failed_tries
          WHERE failed_at >= %(begin)s AND failed_at < %(end)s) AS f
    ON CONFLICT (at) DO NOTHING"""

# Of each period: the last depth of a queue, and the highest of the higher percentiles.
READ: LiteralString = """
    SELECT date_bin(%(width)s, at, %(begin)s) AS at, sum(stored)::int AS stored,
           sum(duplicates)::int AS duplicates, sum(failed)::int AS failed,
           (sum(p50 * stored) / nullif(sum(stored) FILTER (WHERE p50 IS NOT NULL), 0))::float8 AS p50,
           max(p95) AS p95, max(p99) AS p99,
           (array_agg(visible ORDER BY at DESC))[1] AS visible,
           (array_agg(in_flight ORDER BY at DESC))[1] AS in_flight,
           (array_agg(delayed ORDER BY at DESC))[1] AS delayed,
           (array_agg(dead ORDER BY at DESC))[1] AS dead
    FROM samples WHERE at >= %(begin)s GROUP BY 1 ORDER BY 1"""

NOW: LiteralString = """
    SELECT (SELECT count(*) FROM messages) AS total,
           (SELECT time FROM messages ORDER BY seq LIMIT 1) AS oldest,
           count(*) FILTER (WHERE stored_at > now() - interval '10 s') / 10.0::float8 AS per_second,
           count(*)::int AS last_minute,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY latency) AS p50,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY latency) AS p95,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY latency) AS p99
    FROM (SELECT stored_at, extract(epoch FROM stored_at - time)::float8 AS latency
          FROM messages WHERE stored_at > now() - interval '1 min') AS recent"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one period, beginning at `at`. None is unknown."""

    at: datetime
    stored: int
    duplicates: int
    failed: int
    p50: float | None
    p95: float | None
    p99: float | None
    visible: int | None
    in_flight: int | None
    delayed: int | None
    dead: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Current figures: rates of the last ten seconds and minute, and percentiles of latency in seconds."""

    total: int
    oldest: datetime | None
    per_second: float
    last_minute: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Depths:
    """How many messages the queues hold; None is unknown."""

    visible: int | None = None
    in_flight: int | None = None
    delayed: int | None = None
    dead: int | None = None


class Samples:
    """Samples in the store. Methods raise psycopg.OperationalError while it cannot be reached."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def record(self, end: datetime, depths: Depths) -> None:
        """Store the sample that ends here, unless another viewer has; delete those older than a day."""
        values = {
            "begin": end - timedelta(seconds=SAMPLE_SECONDS),
            "end": end,
            "visible": depths.visible,
            "in_flight": depths.in_flight,
            "delayed": depths.delayed,
            "dead": depths.dead,
        }
        with self._database.connection() as connection:
            connection.execute(RECORD, values)
            connection.execute("DELETE FROM samples WHERE at < %s", [end - KEPT])

    def read(self, begin: datetime, width: timedelta) -> Sequence[Sample]:
        """Return the samples since then, gathered into periods of this width."""
        with self._database.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(Sample))
            return cursor.execute(READ, {"begin": begin, "width": width}).fetchall()

    def figures(self) -> Figures:
        """Return the current figures."""
        with self._database.connection() as connection:
            found = connection.cursor(row_factory=class_row(Figures)).execute(NOW).fetchone()
            assert found is not None
            return found


def sample_end(now: datetime) -> datetime:
    """Return when the last complete sample ended: a multiple of its length, the same for every viewer."""
    return datetime.fromtimestamp(now.timestamp() // SAMPLE_SECONDS * SAMPLE_SECONDS, UTC)

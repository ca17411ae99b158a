"""The numbers of visits, in PostgreSQL.

A message counts once, however often it is delivered: the statement that adds it to its page's number also
keeps its identity, which is unique. Both are committed, or neither is.
"""

from collections.abc import Mapping, Sequence

from pipeline.store.connection import Database

TABLES_LOCK = 7_266_100  # an arbitrary key for pg_advisory_xact_lock: two may not create a table at once
# A queue, a dead-letter queue and a redrive keep a message for less than half as long: no duplicate is older.
REMEMBER = "60 days"

TABLES = """
    CREATE TABLE IF NOT EXISTS visits_counted (
        identity   bytea       PRIMARY KEY,
        page       text        NOT NULL,
        counted_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS visits_counted_at ON visits_counted (counted_at);
    CREATE TABLE IF NOT EXISTS visits (page text PRIMARY KEY, visits bigint NOT NULL)"""

# Sorted, so that two of these wait for each other in one order only, and never for ever.
COUNT = """
    WITH added AS (
        INSERT INTO visits_counted (identity, page)
        SELECT * FROM unnest(%s::bytea[], %s::text[]) AS view (identity, page) ORDER BY identity
        ON CONFLICT DO NOTHING
        RETURNING page
    ), changed AS (
        INSERT INTO visits (page, visits)
        SELECT page, count(*) FROM added GROUP BY page ORDER BY page
        ON CONFLICT (page) DO UPDATE SET visits = visits.visits + excluded.visits
    )
    SELECT count(*) FROM added"""

FORGET = "DELETE FROM visits_counted WHERE counted_at < now() - %s::interval"


class Visits:
    """The numbers of visits. Every method raises psycopg.OperationalError while the database is away."""

    def __init__(self, database: Database) -> None:
        """Open no connection yet."""
        self._database = database
        self._has_tables = False

    def check(self) -> None:
        """Return if the tables can be used, and create them the first time."""
        self._create_tables()
        self.read()

    def count(self, views: Sequence[tuple[bytes, str]]) -> int:
        """Count these views, each an identity and a page; return how many were new."""
        self._create_tables()
        identities, pages = [identity for identity, _ in views], [page for _, page in views]
        with self._database.connection() as connection:
            row = connection.execute(COUNT, [identities, pages]).fetchone()
        assert row is not None
        return int(row[0])

    def read(self) -> Mapping[str, int]:
        """Return the number of visits of each page that has any."""
        with self._database.connection() as connection:
            return dict(connection.execute("SELECT page, visits FROM visits").fetchall())

    def forget(self) -> None:
        """Remove identities so old that no duplicate can come any more."""
        with self._database.connection() as connection:
            connection.execute(
                "DELETE FROM visits_counted WHERE counted_at < now() - %s::interval", [REMEMBER]
            )

    def _create_tables(self) -> None:
        if self._has_tables:
            return
        with self._database.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [TABLES_LOCK])
            connection.execute(TABLES)
        self._has_tables = True

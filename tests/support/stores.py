"""Both sides of the store, the consumer's and the viewer's, in one object."""

from contextlib import AbstractContextManager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pipeline.redaction import NO_MASK, Mask
from pipeline.store.connection import Database
from pipeline.store.dead_letters import FailureReader
from pipeline.store.failures import FailureLog
from pipeline.store.migrate import SCHEMA_VERSION, check_schema, migrate
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer

QUEUE = "broadcasts-consumer"


class FailureRecords(FailureLog, FailureReader):
    """Both sides of the failures in a store."""

    def __init__(self, store: "Store") -> None:
        FailureLog.__init__(self, store.database)
        FailureReader.__init__(self, store.database)


class Store(Reader, Writer):
    """A store on a database of its own connections."""

    def __init__(self, database_url: str, mask: Mask = NO_MASK, **options: Any) -> None:
        self.url = database_url
        self.database = Database(database_url, schema_version=SCHEMA_VERSION, **options)
        Reader.__init__(self, self.database)
        Writer.__init__(self, self.database, mask)

    def create_schema(self) -> None:
        migrate(self.database, QUEUE)

    def check(self) -> None:
        check_schema(self.database)

    def connection(self, **options: Any) -> AbstractContextManager[psycopg.Connection[TupleRow]]:
        return self.database.connection(**options)

    def close(self) -> None:
        self.database.close()

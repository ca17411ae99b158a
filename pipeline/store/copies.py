"""Copies: which messages the viewer published again without a word in them about their original.

An exact copy of a text or of a JSON document must not name the message that it is a copy of. So the viewer
records its content and its attributes before it publishes it. Of each queue, the first new message that has
these, and that SNS or SQS took at about that time, is the copy.
"""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from pipeline.message import ORIGINAL_ID, read_stored, storable
from pipeline.search.terms import field_term
from pipeline.store.connection import Database

# By how much the clocks of the database and of AWS may differ, and how long publishing may take.
MAX_APART: LiteralString = "interval '5 minutes'"
KEPT: LiteralString = "interval '1 day'"
MAX_KEPT: LiteralString = "10000"

# True of `copies k` that the message or the failure `m` may be.
IS_COPY: LiteralString = f"""
    (k.content = m.content AND k.attributes = m.attributes - '{ORIGINAL_ID}'
     AND m.time BETWEEN k.sent_at - {MAX_APART} AND k.sent_at + {MAX_APART})"""
# Whether a row that was just inserted into `messages` may be a copy: nearly never.
MAY_BE_COPY: LiteralString = "EXISTS (SELECT FROM copies k WHERE k.content = messages.content)"

CLAIM: LiteralString = f"""
    WITH claimed AS (
        UPDATE copies c SET stored_in = array_append(c.stored_in, m.queue) FROM messages m
        WHERE m.seq = %(seq)s AND c.id = (
            SELECT k.id FROM copies k WHERE {IS_COPY} AND NOT m.queue = ANY(k.stored_in)
            ORDER BY k.sent_at, k.id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING c.copy_of, c.term)
    UPDATE messages m SET copy_of = claimed.copy_of, terms = m.terms || array_to_tsvector(ARRAY[claimed.term])
    FROM claimed WHERE m.seq = %(seq)s"""


class Copies:
    """Copies under way. Methods raise psycopg.OperationalError while the store is away."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def begin(self, body: str, attributes: Mapping[str, str], copy_of: str) -> int:
        """Record that a copy with this body and these attributes is about to be published.

        `copy_of` are source and id of its original, separated by a space. Returns what `cancel` takes.
        """
        row = {
            "content": read_stored(body, attributes).content,
            "attributes": Jsonb(dict(attributes)),
            "copy_of": storable(copy_of),
            "term": field_term("copyof", copy_of),
        }
        with self._database.connection() as connection:
            found = connection.execute(
                """INSERT INTO copies (content, attributes, copy_of, term)
                   VALUES (%(content)s, %(attributes)s, %(copy_of)s, %(term)s) RETURNING id""",
                row,
            ).fetchone()
            assert found is not None
            return int(found[0])

    def cancel(self, copy: int) -> None:
        """Record that a copy was not published after all."""
        with self._database.connection() as connection:
            connection.execute("DELETE FROM copies WHERE id = %s", [copy])

    def prune(self) -> None:
        """Remove the records of copies that nothing can be any more, and all but the newest MAX_KEPT."""
        with self._database.connection() as connection:
            connection.execute(
                f"""DELETE FROM copies WHERE sent_at < now() - {KEPT}
                                          OR id <= (SELECT max(id) FROM copies) - {MAX_KEPT}"""
            )


def claim(connection: psycopg.Connection[TupleRow], seq: int) -> None:
    """Record which message this new one is a copy of, if it is one."""
    connection.execute(CLAIM, {"seq": seq})

"""Reading from the store: the viewer's side."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, class_row, dict_row

from pipeline.search.sql import EVERYTHING, IS_OF_MESSAGE, STATUSES, STATUSES_OF_FEW, Search, some_messages
from pipeline.store.connection import CHANNEL, DELETED, Database
from pipeline.store.searches import Searches

MAX_SEQ = 2**63 - 1
NEWEST_SEARCHED = 20_000
DELETE_SECONDS = 60
MAX_SUMMARY_TEXT: LiteralString = "1000"  # characters
MAX_FACETS = 50
MAX_FACET_VALUE = 200  # characters; nobody chooses from a menu of longer ones

Between = tuple[int | None, int | None]  # seqs, both excluded


@dataclass(frozen=True, slots=True)
class Summary:
    """What lists and the live stream show of a stored message; its texts up to MAX_SUMMARY_TEXT.

    `queue` brought it; `topic` and `subject` are None where they are unknown.
    `time` is when SNS or SQS took it, `event_time` the time that it states itself. `title` is shown in place
    of the preview if there is one. `since_previous_seconds` is from the `time` of the message stored before
    it to its own. It is None for the first message, and negative where a later message overtook an earlier
    one.
    `receive_count` belongs to the delivery that stored it; `tries` is the highest known. `status` is the
    first of pipeline.search.sql.STATUSES that is true now, None for a message that succeeded at once.
    `conflict_of` is the seq of an earlier message with the same identity but another content.
    """

    seq: int
    source: str
    id: str
    type: str
    time: datetime
    event_time: datetime | None
    title: str | None
    preview: str
    color: str | None
    sequence: int | None
    size: int
    receive_count: int
    stored_at: datetime
    latency_seconds: float
    since_previous_seconds: float | None
    tries: int
    status: str | None
    conflict_of: int | None
    queue: str
    topic: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class StoredMessage(Summary):
    """A whole message, with the delivery that stored it, and how it was published (see Publication).

    `attribute_types` are None of a message that an older release stored. `copy_of` is the original of an
    exact copy: its source and id, separated by a space.
    """

    body: str
    message_id: str
    attributes: Mapping[str, str]
    sent_at: datetime
    received_at: datetime
    topic_arn: str | None
    attribute_types: Mapping[str, str] | None
    sns_message_id: str | None
    group_id: str | None
    deduplication_id: str | None
    sequence_number: str | None
    copy_of: str | None


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A message that meets some conditions of a search; `failed` is the first one that it does not meet."""

    message: Summary
    failed: str


@dataclass(frozen=True, slots=True)
class Facets:
    """How often each value occurs among the `counted` newest messages found; `complete` if these are all.

    `values` maps the names that a search uses (type, topic, status, attr.tenant) to lists of (value, count).
    """

    counted: int
    complete: bool
    values: Mapping[str, Sequence[tuple[str, int]]]


_STATUS: LiteralString = " ".join(
    f"WHEN {condition} THEN '{name}'" for name, condition in STATUSES_OF_FEW.items()
)
_STATUSES: LiteralString = ", ".join(
    f"CASE WHEN {condition} THEN '{name}' END" for name, condition in STATUSES.items()
)
# Lists and the live stream hold many of these in memory, and a message may have an id of a megabyte.
_SHORT: LiteralString = ", ".join(
    f"left(m.{name}, {MAX_SUMMARY_TEXT}) AS {name}" for name in ("source", "id", "type", "topic", "subject")
)
_OTHERS: LiteralString = f"""
    m.seq, m.time, m.event_time, m.title, m.preview, m.color, m.sequence, m.queue,
    m.size, m.receive_count, m.stored_at,
    extract(epoch FROM m.stored_at - m.time)::float8 AS latency_seconds,
    extract(epoch FROM m.time - (
        SELECT p.time FROM messages p WHERE p.seq < m.seq ORDER BY p.seq DESC LIMIT 1
    ))::float8 AS since_previous_seconds,
    greatest(m.receive_count,
             (SELECT max(f.tries) FROM failures f WHERE {IS_OF_MESSAGE}),
             (SELECT max(d.receive_count) FROM duplicates d WHERE d.seq = m.seq)) AS tries,
    CASE {_STATUS} END AS status, m.conflict_of"""
SUMMARY_COLUMNS: LiteralString = f"{_OTHERS}, {_SHORT}"
WHOLE_COLUMNS: LiteralString = f"""
    {_OTHERS}, m.source, m.id, m.type, m.topic, m.subject, m.body, m.message_id, m.attributes, m.sent_at,
    m.received_at, m.topic_arn, m.attribute_types, m.sns_message_id, m.group_id, m.deduplication_id,
    m.sequence_number, m.copy_of"""


class Reader:
    """Reads messages, and deletes them. Methods raise psycopg.OperationalError while the store is away, and
    SearchFailed if they are given a search that costs too much.
    """

    def __init__(self, database: Database, searches: Searches | None = None) -> None:
        """Read from this database, and search in the share of `searches`."""
        self._database = database
        self._searches = searches or Searches(database)

    def _connection(self, wanted: Search) -> AbstractContextManager[psycopg.Connection[TupleRow]]:
        return self._searches.connection(wanted) if wanted.conditions else self._database.connection()

    def newest(self) -> int:
        """Return the highest seq, 0 if nothing is stored."""
        with self._database.connection() as connection:
            row = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()
            assert row is not None
            return int(row[0])

    def find(
        self,
        wanted: Search = EVERYTHING,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Summary]:
        """Return up to `limit` messages, newest first.

        With `after` alone these are the ones that directly follow that seq, so that none is skipped when
        there are more than `limit`. Otherwise they are the newest ones, below `before` if it is given.
        """
        if after is not None and before is None:
            return self._find(wanted, "m.seq", limit, after=after)[::-1]
        if wanted.conditions:
            return self._find_newest(wanted, limit, after, before)
        return self._find(wanted, "m.seq DESC", limit, after=after, before=before)

    def _find_newest(
        self, wanted: Search, limit: int, after: int | None, before: int | None
    ) -> list[Summary]:
        """Look among the newest messages first, then, if these are too few, among all.

        PostgreSQL cannot know how rare a word is: asked for all messages by seq, it would read them one by
        one, newest first, until it has enough. The first query bounds that. In the second, `+ 0` hides the
        order of the primary key from the planner, so that it looks the messages up by their terms and sorts
        them.
        """
        end = self.newest() + 1 if before is None else before
        newest = max(after or 0, end - 1 - NEWEST_SEARCHED)
        found = self._find(wanted, "m.seq DESC", limit, after=newest, before=before)
        if len(found) == limit or newest <= (after or 0):
            return found
        return self._find(wanted, "m.seq + 0 DESC", limit, after=after, before=before)

    def _find(
        self,
        wanted: Search,
        order: LiteralString,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
    ) -> list[Summary]:
        query = _page(SUMMARY_COLUMNS, wanted, (after, before), order, limit)
        with self._connection(wanted) as connection:
            return connection.cursor(row_factory=class_row(Summary)).execute(query).fetchall()

    def count(
        self, wanted: Search = EVERYTHING, *, after: int | None = None, before: int | None = None
    ) -> int:
        """Return how many messages there are between the two seqs, both excluded."""
        query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
            wanted.source, _between(wanted, after, before)
        )
        with self._connection(wanted) as connection:
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    def count_up_to(self, most: int, wanted: Search = EVERYTHING) -> int:
        """Return how many messages there are, `most` if there are at least so many."""
        query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) found").format(
            wanted.source, wanted.sql, sql.Literal(most)
        )
        with self._connection(wanted) as connection:
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    def delete(self, wanted: Search) -> int:
        """Delete the messages found; return how many they were. Listeners are notified on commit."""
        query = sql.SQL("DELETE FROM messages m WHERE {}").format(wanted.sql)
        if wanted.scans:
            found = sql.SQL("SELECT m.seq FROM {} WHERE {}").format(wanted.source, wanted.sql)
            query = sql.SQL("DELETE FROM messages WHERE seq IN ({})").format(found)
        with self._searches.connection(wanted, patient=True) as connection, connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{DELETE_SECONDS}s'".encode())
            connection.execute(f"NOTIFY {CHANNEL}, '{DELETED}'")
            return connection.execute(query).rowcount

    def nearest(self, wanted: Search, *, limit: int, after: int | None = None) -> list[NearMiss]:
        """Return the messages that meet most conditions but not all, of the 1,000 newest after that seq."""
        met = [sql.SQL("coalesce({}, false)").format(part.sql) for part in wanted.conditions]
        query = sql.SQL(
            """
            SELECT n.met, {columns} FROM (
                SELECT m.seq, ARRAY[{met}]::boolean[] AS met FROM {source} WHERE {between}
                ORDER BY m.seq DESC LIMIT 1000
            ) n JOIN messages m USING (seq)
            WHERE false = ANY (n.met)
            ORDER BY cardinality(array_positions(n.met, true)) DESC, m.seq DESC LIMIT {limit}"""
        ).format(
            columns=sql.SQL(SUMMARY_COLUMNS),
            met=sql.SQL(", ").join(met),
            source=wanted.source,
            between=_between(EVERYTHING, after, None),
            limit=sql.Literal(limit),
        )
        with self._searches.connection(wanted) as connection:
            rows = connection.cursor(row_factory=dict_row).execute(query).fetchall()
        failed = [_first_failed(wanted, row.pop("met")) for row in rows]
        return [NearMiss(Summary(**row), text) for row, text in zip(rows, failed, strict=True)]

    def facets(self, wanted: Search, *, most: int = 10_000, values: int = 10) -> Facets:
        """Return the most frequent values of what a search names, among the newest messages found."""
        query = sql.SQL(
            """
            WITH found AS (
                SELECT m.type, m.source, m.topic, m.queue, m.subject, m.attributes,
                       ARRAY[{statuses}] AS statuses
                FROM (SELECT m.* FROM {source} WHERE {wanted} ORDER BY m.seq DESC LIMIT {most}) m
            ), named (name, value) AS (
                SELECT 'type', type FROM found
                UNION ALL SELECT 'source', source FROM found
                UNION ALL SELECT 'topic', topic FROM found WHERE topic IS NOT NULL
                UNION ALL SELECT 'queue', queue FROM found
                UNION ALL SELECT 'subject', subject FROM found WHERE subject IS NOT NULL
                UNION ALL SELECT 'status', status FROM found, unnest(statuses) AS status
                          WHERE status IS NOT NULL
                UNION ALL SELECT 'attr.' || a.key, a.value FROM found, jsonb_each_text(attributes) a
                          WHERE a.key NOT IN ('type', 'source')
            ), counted AS (
                SELECT name, value, count(*) AS count,
                       row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, value) AS place
                FROM named WHERE length(value) <= {longest} GROUP BY name, value
            ), names AS (
                SELECT name FROM counted GROUP BY name ORDER BY sum(count) DESC, name LIMIT {names}
            )
            SELECT '' AS name, '' AS value, (SELECT count(*) FROM found) AS count, 0 AS place
            UNION ALL SELECT name, value, count, place FROM counted JOIN names USING (name)
                      WHERE place <= {values}
            ORDER BY name, place"""
        ).format(
            statuses=sql.SQL(_STATUSES),
            source=wanted.source,
            wanted=wanted.sql,
            most=sql.Literal(most),
            values=sql.Literal(values),
            longest=sql.Literal(MAX_FACET_VALUE),
            names=sql.Literal(MAX_FACETS),
        )
        with self._searches.connection(wanted) as connection:
            (_, _, counted, _), *rows = connection.execute(query).fetchall()
        found: dict[str, list[tuple[str, int]]] = {}
        for name, value, count, _ in rows:
            found.setdefault(name, []).append((value, count))
        return Facets(counted, counted < most, found)

    def places(self, wanted: Search, *, after: int, before: int, limit: int) -> list[tuple[int, int]]:
        """Return the seqs and sizes of up to `limit` messages between the two seqs, oldest first."""
        query = sql.SQL("SELECT m.seq, m.size FROM {} WHERE {} ORDER BY m.seq LIMIT {}").format(
            wanted.source, _between(wanted, after, before), sql.Literal(limit)
        )
        with self._connection(wanted) as connection:
            return [(int(seq), int(size)) for seq, size in connection.execute(query)]

    def published_order(self, seqs: Sequence[int]) -> list[tuple[int, datetime]]:
        """Return the seqs and times of those of these messages that are stored, as they were published.

        Of one moment, first by the sequence numbers of FIFO, then as they were stored.
        """
        query: LiteralString = """
            SELECT seq, time FROM messages WHERE seq = ANY(%s)
            ORDER BY time, length(sequence_number), sequence_number, seq"""
        with self._database.connection() as connection:
            return [(int(seq), time) for seq, time in connection.execute(query, [list(seqs)])]

    def read(self, seqs: Sequence[int]) -> list[StoredMessage]:
        """Return those of these whole messages that are stored, oldest first."""
        query = _page(WHOLE_COLUMNS, some_messages(seqs), (None, None), "m.seq", len(seqs))
        with self._database.connection() as connection:
            return connection.cursor(row_factory=class_row(StoredMessage)).execute(query).fetchall()

    def get(self, seq: int) -> StoredMessage | None:
        """Return one whole message, or None."""
        if not 0 < seq < MAX_SEQ:
            return None  # PostgreSQL would compare it with every message, as a number without limits
        return next(iter(self.read([seq])), None)

    def conflicts(self, seq: int, limit: int) -> list[int]:
        """Return the newest messages in conflict with this one, or with the same one as this, but itself."""
        query: LiteralString = """
            SELECT o.seq FROM messages m JOIN messages o ON o.conflict_of = coalesce(m.conflict_of, m.seq)
            WHERE m.seq = %s AND o.seq <> m.seq ORDER BY o.seq DESC LIMIT %s"""
        with self._database.connection() as connection:
            return [found for (found,) in connection.execute(query, [seq, limit])]


def _page(
    columns: LiteralString, wanted: Search, between: Between, order: LiteralString, limit: int
) -> sql.Composed:
    # Select first, describe then: otherwise the planner would prepare to describe every message.
    return sql.SQL(
        """
        SELECT {columns} FROM (
            SELECT m.* FROM {source} WHERE {condition} ORDER BY {order} LIMIT {limit}
        ) m ORDER BY {order}"""
    ).format(
        columns=sql.SQL(columns),
        source=wanted.source,
        condition=_between(wanted, *between),
        order=sql.SQL(order),
        limit=sql.Literal(limit),
    )


def _first_failed(wanted: Search, met: Sequence[bool]) -> str:
    return next(part.text for part, fine in zip(wanted.conditions, met, strict=True) if not fine)


def _between(wanted: Search, after: int | None, before: int | None) -> sql.Composable:
    """Return the condition for the messages wanted between two seqs, both excluded."""
    parts = [wanted.sql]
    if after is not None:
        parts.append(sql.SQL("m.seq > {}").format(sql.Literal(after)))
    if before is not None:
        parts.append(sql.SQL("m.seq < {}").format(sql.Literal(before)))
    return sql.SQL(" AND ").join(parts)

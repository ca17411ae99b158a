"""Conditions on stored messages, as SQL on `messages m`, `failures f` and `duplicates d`.

A condition that looks at the text of a message finds it in lower case in `t.text`, so that it is made once
for all of them: see `Search.source`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.sql import Composable

from pipeline.message import storable
from pipeline.search.terms import field_term

# True of `failures f` whose message is in the queue or in its dead-letter queue, as far as is known.
IS_OPEN: LiteralString = "(f.resolved_at IS NULL AND f.lost_at IS NULL)"
# True of `failures f` whose message was sent back to the queue and has not failed since.
IS_SENT_BACK: LiteralString = "coalesce(f.redriven_at >= f.dead_at, false)"
# True of `failures f` whose message is in the dead-letter queue.
IS_DEAD: LiteralString = f"(f.dead_at IS NOT NULL AND {IS_OPEN} AND NOT {IS_SENT_BACK})"
# True of `failures f` whose message vanished from both queues without having succeeded.
IS_LOST: LiteralString = "(f.lost_at IS NOT NULL AND f.resolved_at IS NULL)"
# True of `failures f` of `messages m`: the same identity in the same queue, and the same content.
IS_OF_MESSAGE: LiteralString = "f.queue = m.queue AND f.identity = m.identity AND f.content = m.content"
# True of `duplicates d`, a further delivery of `messages m`, that was not the next try after a failure.
IS_DUPLICATE: LiteralString = f"""NOT EXISTS (
    SELECT FROM failures f WHERE {IS_OF_MESSAGE} AND f.first_failed_at < d.received_at
                                 AND (f.resolved_at IS NULL OR f.resolved_at > d.received_at))"""


def _statuses(fence: LiteralString) -> dict[str, LiteralString]:
    own: LiteralString = f"SELECT FROM failures f WHERE {IS_OF_MESSAGE} AND"
    dead: LiteralString = f"EXISTS ({own} {IS_DEAD} {fence})"
    return {
        "dead": dead,
        # SQS will deliver it again.
        "failed": f"(EXISTS ({own} {IS_OPEN} {fence}) AND NOT {dead})",
        "lost": f"EXISTS ({own} {IS_LOST} {fence})",
        "duplicate": f"EXISTS (SELECT FROM duplicates d WHERE d.seq = m.seq AND {IS_DUPLICATE} {fence})",
        "retried": f"""(m.receive_count > 1
                        OR EXISTS ({own} (f.tries > 1 OR f.resolved_at IS NOT NULL) {fence}))""",
        # Another message had its identity first.
        "conflict": "m.conflict_of IS NOT NULL",
    }


# OFFSET 0 keeps the planner from making the text anew for each condition.
TEXT: LiteralString = "CROSS JOIN LATERAL (SELECT lower(m.body) AS text OFFSET 0) t"
# What became of a message, by the values of `status:`; several may be true of one message.
STATUSES = _statuses(fence="")
# The same for a few messages: OFFSET 0 keeps the planner from gathering all failures first.
STATUSES_OF_FEW = _statuses(fence="OFFSET 0")


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of a search: its text, and its SQL on `messages m`.

    If it is not `lasting`, whether a message meets it can change after the message was stored. `scans` is
    how often it reads the whole text of each message that no other condition rules out, which no index can
    spare. `terms` is what an index can answer of a condition that scans: whatever meets it has these.
    """

    text: str
    sql: sql.Composable
    lasting: bool = True
    scans: int = 0
    terms: Composable | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The messages that meet every condition; without conditions, all."""

    conditions: tuple[Condition, ...] = ()

    def __and__(self, other: "Search") -> "Search":
        """Return the search for messages that both find."""
        return Search(self.conditions + other.conditions)

    @property
    def source(self) -> sql.Composable:
        """What its condition selects from, for FROM."""
        return sql.SQL(f"messages m {TEXT}" if self.scans else "messages m")

    @property
    def scans(self) -> int:
        """How often it reads the text of a message."""
        return sum(condition.scans for condition in self.conditions)

    @property
    def sql(self) -> sql.Composable:
        """Its SQL condition on `messages m`."""
        parts = [condition.sql for condition in self.conditions]
        return sql.SQL(" AND ").join(parts) if parts else sql.SQL("true")

    @property
    def lasting(self) -> bool:
        """Whether a message that it finds stays found."""
        return all(condition.lasting for condition in self.conditions)


EVERYTHING = Search()


def either(text: str, searches: Sequence[Search]) -> Condition:
    """Return the condition that at least one of these searches finds a message."""
    found = _any([search.sql for search in searches])
    terms = None
    scans = sum(search.scans for search in searches)
    if scans and (terms := _terms_of_any(searches)):
        # PostgreSQL would not see by itself that an index can answer a part of it.
        found = sql.SQL("({} AND {})").format(terms, found)
    return Condition(text, found, all(search.lasting for search in searches), scans, terms)


def opposite(condition: Condition) -> Condition:
    """Return the condition that a message does not meet this one, with the same text."""
    return replace(condition, sql=sql.SQL("NOT ({})").format(condition.sql), terms=None)


def _terms_of_any(searches: Sequence[Search]) -> sql.Composable | None:
    """Return what an index can answer of this choice, None if one of them can be met without any term."""
    sides = []
    for search in searches:
        known = [part.terms if part.scans else part.sql for part in search.conditions]
        side = [terms for terms in known if terms]
        if not side:
            return None
        sides.append(sql.SQL(" AND ").join(side))
    return _any(sides)


def _any(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" OR ").join(sql.SQL("({})").format(one) for one in conditions))


def equal(name: str, value: str) -> Search:
    """Return the search for messages whose `type`, `source`, `id`, `topic` or `queue` is exactly this."""
    exact = sql.SQL("m.{} = {}").format(sql.Identifier(name), sql.Literal(storable(value)))
    found = sql.SQL("({} AND {})").format(has_term(field_term(name, value)), exact)
    return Search((Condition(f"{name}:{value}", found),))


def some_messages(seqs: Sequence[int]) -> Search:
    """Return the search for the messages with these seqs."""
    some = sql.SQL("m.seq = ANY({})").format(sql.Literal(list(seqs)))
    return Search((Condition(f"seq:{','.join(map(str, seqs))}", some),))


def copies_of(source: str, id: str) -> Search:  # noqa: A002 - CloudEvents' word
    """Return the search for messages that say they are copies of this one."""
    original = f"{source} {id}"
    return Search((Condition(f"copyof:{original}", has_term(field_term("copyof", original))),))


def published(since: datetime | None = None, until: datetime | None = None) -> Search:
    """Return the search for messages published at `since` or later, and before `until`."""
    conditions = []
    if since is not None:
        after = sql.SQL("m.time >= {}").format(sql.Literal(since))
        conditions.append(Condition(f"after:{since.isoformat()}", after))
    if until is not None:
        before = sql.SQL("m.time < {}").format(sql.Literal(until))
        conditions.append(Condition(f"before:{until.isoformat()}", before))
    return Search(tuple(conditions))


def has_term(term: str, prefix: bool = False) -> sql.Composable:
    """Return the condition that a message has this term, or one that begins with it."""
    quoted = term.replace("\\", "\\\\").replace("'", "''")
    query = f"'{quoted}'" + (":*" if prefix else "")
    return sql.SQL("m.terms @@ {}::tsquery").format(sql.Literal(query))

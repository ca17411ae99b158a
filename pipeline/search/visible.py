"""Conditions on what REDACT leaves visible: a search matches nothing that the mask hides.

The index may hold masked values: it was filled by a consumer that had no REDACT, or another one. So with
REDACT, a term counts in two cases only:

- the body and the subject contain none of the masked names, and no escape or encoding that could hide one:
  then nothing is masked in them;
- else, the term, or the word, is in a field that is not masked. Fields are in the index with their values if
  they are short (see `pipeline.search.terms`). Longer ones are not searched in such a message, and neither is
  text outside of fields.

Whether a message matches depends on what is visible of it alone. In doubt it does not match.
"""

import re
from typing import LiteralString

from psycopg import sql

from pipeline.redaction import BYTES, ENCODING, Mask
from pipeline.search.terms import MAX_TERM_LENGTH

# Their lower case contains letters of ASCII, so that they can spell a masked name.
FOLDED = "\u00df\u0130\u0149\u017f\u01f0\u1e96-\u1e9a\u1e9e\u212a\ufb00-\ufb06"
# What surely ends a word, in terms: what is no word in ASCII, and scripts in which each character is a word.
BOUNDARY: LiteralString = (
    r"[\u0001-\u002f\u003a-\u005e\u0060\u007b-\u007f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
)
SUBJECT = "data.subject"  # what REDACT calls the subject of a notification
# Words are looked for in the data and the identity, never in attributes.
OF_DATA = sql.SQL(r"term !~ '^(attr\.|copyof=)'")


def visible_word(term: sql.Composable, word: str, mask: Mask, *, prefix: bool) -> sql.Composable:
    """Return the condition that this word of a message is visible; `term` is the one that it has the word."""
    end = "" if prefix else f"({BOUNDARY}|$)"
    whole = sql.SQL("term ~ {}").format(sql.Literal(f"{BOUNDARY}{word}{end}"))
    found = _in_a_field(_contains(word), sql.SQL("{} AND {}").format(whole, OF_DATA), mask)
    return sql.SQL("({} AND ({} OR {}))").format(term, _plain(mask), found)


def visible_text(text: str, anywhere: sql.Composable, mask: Mask) -> sql.Composable:
    """Return the condition that this text is visible; `anywhere` is the one that the body contains it."""
    found = _in_a_field(_contains(text.casefold()), OF_DATA, mask)
    return sql.SQL("(({} AND {}) OR {})").format(_plain(mask), anywhere, found)


def visible_field(term: sql.Composable, name: str, text: str, mask: Mask, *, prefix: bool) -> sql.Composable:
    """Return the condition that a field is visible: `text` is its term, `term` the one that it is there."""
    same: LiteralString = "starts_with(term, {})" if prefix else "term = {}"
    found = _in_a_field(sql.SQL(same).format(sql.Literal(text)), sql.SQL("true"), mask)
    if name.startswith("data."):  # the body says nothing of attributes
        found = sql.SQL("({} OR {})").format(_plain(mask), found)
    return sql.SQL("({} AND {})").format(term, found)


def _plain(mask: Mask) -> sql.Composable:
    """Return the condition that nothing in the body can be masked."""
    if not all(name.isascii() for name in mask.names):  # whose case PostgreSQL may not know
        return sql.SQL("false")
    names = "|".join(map(re.escape, mask.names))
    plain = sql.SQL(
        "(m.body !~* {hidden} AND strpos(lower(m.attributes::text), {encoding}) = 0 AND {subject})"
    )
    hidden = sql.Literal(rf"\\|[{FOLDED}]|{names}")
    shown: LiteralString = "m.subject IS NULL"
    if not mask.hides(SUBJECT):
        shown = "coalesce(m.subject !~* {}, true)"
    return plain.format(hidden=hidden, encoding=sql.Literal(ENCODING), subject=sql.SQL(shown).format(hidden))


def _contains(text: str) -> sql.Composable:
    return sql.SQL("strpos(term, {}) > 0").format(sql.Literal(text))


def _in_a_field(likely: sql.Composable, condition: sql.Composable, mask: Mask) -> sql.Composable:
    """Return the condition that both hold for the term of a visible field; `likely` is cheap, and first."""
    names = "|".join(map(re.escape, mask.names))
    tails = "|".join(re.escape(field.partition(".")[2]) for field in mask.fields)
    # What Mask masks, and more: the field and what is below it, wherever its path ends like this; texts that
    # may name it, or that may be documents which contain it.
    hidden = (
        rf"\\|\.({tails})[.=]|\.{BYTES}[.=]"
        rf"|=(.*[^a-z0-9_])?({names}).*[:=>]|=[^a-z0-9]*[\[{{\"].*({names})"
    ) + (r"|^subject=" if mask.hides(SUBJECT) else "")
    # PostgreSQL keeps no other order than that of CASE.
    return sql.SQL(
        """EXISTS (
            SELECT FROM unnest(tsvector_to_array(m.terms)) AS field (term)
            WHERE CASE WHEN {likely} THEN strpos(term, '=') > 0 AND length(term) < {longest}
                                          AND {condition} AND term !~ {hidden}
                       ELSE false END)"""
    ).format(
        likely=likely,
        longest=sql.Literal(MAX_TERM_LENGTH),
        condition=condition,
        hidden=sql.Literal(hidden),
    )

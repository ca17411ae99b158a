"""Copies: which message one says that it is a copy of, and which are copies of it."""

from typing import Any

from pipeline.message import read_copy_of
from pipeline.search.sql import copies_of, equal
from pipeline.store.dead_letters import FailureReader, WholeDeadLetter
from pipeline.store.reader import Reader, StoredMessage

MOST_COPIES = 20


def copy_links(
    reader: Reader, failures: FailureReader, message: StoredMessage | WholeDeadLetter
) -> dict[str, Any]:
    """Return `copy_of`, its original if it names one, and `copies`, the newest that are stored, as seqs."""
    original = read_copy_of(message.body)
    copies = reader.find(copies_of(message.source, message.id), limit=MOST_COPIES)
    return {
        "copy_of": original and _reference(reader, failures, original),
        "copies": [copy.seq for copy in copies],
    }


def _reference(reader: Reader, failures: FailureReader, original: str) -> dict[str, Any]:
    """Return where the message can be seen; both places are None if it is in neither."""
    # A source is a URI: it holds no space.
    source, _, id_ = original.partition(" ")
    stored = reader.find(equal("source", source) & equal("id", id_), limit=1)
    dead = failures.find_dead_letter(source, id_)
    return {"source": source, "id": id_, "seq": stored[0].seq if stored else None, "dead_letter": dead}

"""Copies: which message one says that it is a copy of, and which are copies of it."""

from typing import Any

from pipeline.failures import FailureLog, WholeDeadLetter
from pipeline.message import read_copy_of
from pipeline.search import copies_of, equal
from pipeline.store import Store, StoredMessage

MOST_COPIES = 20


def copy_links(
    store: Store, failures: FailureLog, message: StoredMessage | WholeDeadLetter
) -> dict[str, Any]:
    """Return `copy_of`, its original if it names one, and `copies`, the newest that are stored, as seqs."""
    original = read_copy_of(message.body)
    copies = store.find(copies_of(message.source, message.id), limit=MOST_COPIES)
    return {
        "copy_of": original and _reference(store, failures, original),
        "copies": [copy.seq for copy in copies],
    }


def _reference(store: Store, failures: FailureLog, original: str) -> dict[str, Any]:
    """Return where the message can be seen; both places are None if it is in neither."""
    # A source is a URI: it holds no space.
    source, _, id_ = original.partition(" ")
    stored = store.find(equal("source", source) & equal("id", id_), limit=1)
    dead = failures.find_dead_letter(source, id_)
    return {"source": source, "id": id_, "seq": stored[0].seq if stored else None, "dead_letter": dead}

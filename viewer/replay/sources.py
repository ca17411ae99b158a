"""What is replayed: what a search finds, or the lines of an exported file, as it is when a replay begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Protocol

import msgspec

from pipeline.redaction import holds_mask
from pipeline.search.sql import Search
from pipeline.store.reader import Reader
from viewer.aws.copying import CannotCopy, Original, original_of
from viewer.aws.targets import SENDABLE
from viewer.places import find_places

# As many copies are linked to their originals ("MAX_KEPT", pipeline/store/copies.py), and counts of a search
# are exact up to it.
MAX_MESSAGES = 10_000
SEARCH_SECONDS = 20.0
MAX_LINES = 2 * MAX_MESSAGES  # empty ones included
MAX_ATTRIBUTES_BYTES = 2**20  # SNS accepts 256 KiB for all of a message
MAX_TEXT = 300_000  # characters of an id or a name: SNS accepts 256 KiB for a whole message


class NotReplayable(Exception):
    """There is nothing to replay, or too much; the text says which."""


@dataclass(frozen=True, slots=True)
class Item:
    """A message to replay: its seq, or its line in the file, and when it was published."""

    number: int
    time: datetime


class Source(Protocol):
    """Messages to replay."""

    @property
    def items(self) -> Sequence[Item]:
        """All of them, as they were published."""

    def load(self, item: Item) -> Original:
        """Return the message. Raises CannotCopy, and what psycopg raises."""


class FoundMessages:
    """What a search finds among the messages up to a seq: so a replay never finds what it sends itself."""

    def __init__(self, reader: Reader, wanted: Search, newest: int) -> None:
        """Search. Raises NotReplayable, SearchFailed and psycopg.OperationalError."""
        self._reader = reader
        places = islice(find_places(reader, wanted, newest, SEARCH_SECONDS), MAX_MESSAGES + 1)
        seqs = [seq for seq, _ in places]
        _check_number(len(seqs), "the search finds")
        self.items = [Item(seq, time) for seq, time in reader.published_order(seqs)]

    def load(self, item: Item) -> Original:
        """Return the message."""
        message = self._reader.get(item.number)
        if message is None:
            raise CannotCopy("it was deleted meanwhile")
        return original_of(message)


_Name = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class _Line(msgspec.Struct, frozen=True):
    """What is read of a line; see ExportedMessage."""

    source: _Name
    id: _Name
    body: str
    size: int
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    attributes: msgspec.Raw
    attribute_types: msgspec.Raw = msgspec.Raw(b"null")
    topic: _Name | None = None
    topic_arn: _Name | None = None
    subject: _Name | None = None
    group_id: _Name | None = None
    sequence_number: _Name | None = None


_decoder = msgspec.json.Decoder(_Line)
_attributes = msgspec.json.Decoder(dict[str, str])
_types = msgspec.json.Decoder(dict[str, str] | None)


class ExportedFile:
    """The messages of a file as `GET /api/messages.ndjson` writes it."""

    def __init__(self, content: bytes) -> None:
        """Check every line. Raises NotReplayable, which names the first one that is none."""
        if content.count(b"\n") > MAX_LINES:
            raise NotReplayable(f"the file has more than {MAX_LINES:,} lines")
        self._lines = content.split(b"\n")
        placed: list[tuple[datetime, int, str, int]] = []
        for number, text in enumerate(self._lines, start=1):
            if text.strip():
                line, _ = _read(number, text)
                digits = line.sequence_number or ""
                placed.append((line.time, len(digits), digits, number))
        _check_number(len(placed), "the file holds")
        self.items = [Item(number, time) for time, _, _, number in sorted(placed)]

    def load(self, item: Item) -> Original:
        """Return the message."""
        line, attributes = _read(item.number, self._lines[item.number - 1])
        texts = (*attributes["attributes"], *attributes["attributes"].values(), line.subject or "")
        if any(map(holds_mask, (line.body, line.group_id or "", *texts))):
            raise CannotCopy("it holds •••, which stands for a masked value: replay the search instead")
        if not all(SENDABLE.fullmatch(text) for text in texts if text):
            raise CannotCopy("it holds characters that XML does not allow")
        own = {name: getattr(line, name) for name in Original.__slots__ if name not in attributes}
        return Original(**own, **attributes)


def _read(number: int, text: bytes) -> tuple[_Line, dict[str, Any]]:
    """Return a line, and its attributes with their types, which are bounded before they are parsed."""
    try:
        line = _decoder.decode(text)
        if len(bytes(line.attributes)) + len(bytes(line.attribute_types)) > MAX_ATTRIBUTES_BYTES:
            raise NotReplayable(f"line {number} has more attributes than any message")
        attributes = _attributes.decode(line.attributes)
        return line, {"attributes": attributes, "attribute_types": _types.decode(line.attribute_types)}
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f"line {number} is no message as the export writes it: {error}"
        raise NotReplayable(reason) from None


def _check_number(count: int, what: str) -> None:
    if not count:
        raise NotReplayable(f"{what} no messages")
    if count > MAX_MESSAGES:
        raise NotReplayable(f"{what} more than {MAX_MESSAGES:,} messages, which is the most in one replay")

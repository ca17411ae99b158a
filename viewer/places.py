"""Places: where in the store everything is that a search finds, however long that takes."""

import math
import time
from collections.abc import Iterator

from pipeline.search.sql import EVERYTHING, Search
from pipeline.store.reader import Reader
from pipeline.store.searches import WAIT_SECONDS, SearchTooSlow, TooManySearches

# Seqs that one query looks through for what it finds, and how many messages it finds at most.
MAX_WINDOW = 20_000
MIN_WINDOW = 20
PAGE = 500
TURN_SECONDS = 60.0  # how long to wait for a turn among searches


def find_places(
    reader: Reader, wanted: Search, newest: int, seconds: float = math.inf
) -> Iterator[tuple[int, int]]:
    """Yield the seq and size of each message found up to this seq, oldest first.

    What takes too long is read in shorter windows. Raises SearchFailed, also after so many seconds.
    """
    end_at = time.monotonic() + seconds
    oldest = reader.places(EVERYTHING, after=0, before=newest + 1, limit=1)
    seq = oldest[0][0] - 1 if oldest else newest
    window, patience = MAX_WINDOW, TURN_SECONDS
    while seq < newest:
        end = min(seq + window, newest)
        try:
            found = reader.places(wanted, after=seq, before=end + 1, limit=PAGE)
        except TooManySearches:
            patience -= WAIT_SECONDS
            if patience < 0:
                raise
            continue
        except SearchTooSlow:
            window //= 10
            if window < MIN_WINDOW:
                raise
            continue
        yield from found
        if time.monotonic() > end_at:
            raise SearchTooSlow(f"the search took longer than {seconds:g} seconds: narrow it")
        seq = found[-1][0] if len(found) == PAGE else end

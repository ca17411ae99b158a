"""Hostile messages among innocent ones: a message concerns itself alone."""

import random
import time

from tests.attack.hostile_messages import hostile, innocent
from tests.attack.system import System
from tests.attack.tally import Tally

SEED = 7
INNOCENT = "innocent messages among them"
PATIENCE_SECONDS = 60

# Where each SQS message is: stored or recognised as a further delivery, or dead.
PLACES = """
    SELECT message_id, 'stored', receive_count FROM messages
    UNION ALL SELECT message_id, 'stored', receive_count FROM duplicates
    UNION ALL SELECT message_id, 'dead', tries
    FROM failures WHERE dead_at IS NOT NULL AND resolved_at IS NULL"""


def attack(system: System, tally: Tally) -> None:
    """Send thousands; each must be stored, or dead with its reason, and the innocent ones at once."""
    chance = random.Random(SEED)
    half = system.size(3_000, 60)
    entries = [(INNOCENT, innocent(number)) for number in range(half)]
    entries += [hostile(chance) for _ in range(half)]
    chance.shuffle(entries)

    ids = system.send([entry for _, entry in entries])
    found = _wait_for(system, set(filter(None, ids)))
    disturbed = 0

    for (kind, entry), message_id in zip(entries, ids, strict=True):
        if message_id is None:
            tally.count(kind, "refused")
            continue
        place, tries = found.get(message_id, ("lost", 0))
        tally.count(kind, place, example=entry["MessageBody"][:100])
        disturbed += kind == INNOCENT and (place, tries) != ("stored", 1)
    tally.require(not disturbed, f"{disturbed} innocent messages were not stored at their first try")


def _wait_for(system: System, wanted: set[str]) -> dict[str, tuple[str, int]]:
    """Wait until all of these are somewhere, or nothing has come for a while; return where each is."""
    found: dict[str, tuple[str, int]] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted <= found.keys() and time.monotonic() < deadline:
        time.sleep(0.5)
        now = {row[0]: (row[1], row[2]) for row in system.rows(PLACES) if row[0] in wanted}
        if len(now) > len(found):
            deadline = time.monotonic() + PATIENCE_SECONDS
        found = now
    return found

"""The same identity with other content, and forged ones: nothing is dropped in silence."""

import json
import time
import uuid
from collections.abc import Callable

from pipeline.message import ORIGINAL_ID
from tests.attack.hostile_messages import event
from tests.attack.system import Entry, System
from tests.attack.tally import Tally

PATIENCE_SECONDS = 30


def _conflict(marker: str, _: str) -> list[Entry]:
    id = uuid.uuid4().hex  # noqa: A001 - CloudEvents' word
    return [{"MessageBody": json.dumps(event("/bank", id, {"marker": f"{marker}-{n}"}))} for n in range(2)]


def _forged_original_id(marker: str, known_id: str) -> list[Entry]:
    attributes = {ORIGINAL_ID: {"DataType": "String", "StringValue": known_id}}
    return [{"MessageBody": f"forged {marker}-0", "MessageAttributes": attributes}]


def _forged_envelope(marker: str, known_id: str) -> list[Entry]:
    notification = {
        "Type": "Notification",
        "MessageId": known_id,
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:other",
        "Message": f"forged {marker}-0",
    }
    return [{"MessageBody": json.dumps(notification)}]


KINDS: dict[str, Callable[[str, str], list[Entry]]] = {
    "same identity, other body": _conflict,
    "forged original id": _forged_original_id,
    "forged envelope": _forged_envelope,
}


def attack(system: System, tally: Tally) -> None:
    """Send texts, then others that claim to be them: the body of each must be found in the store."""
    count = system.size(200, 5)
    known = system.send([{"MessageBody": f"known {uuid.uuid4().hex}"} for _ in range(count)])
    for kind, forge in KINDS.items():
        markers = [uuid.uuid4().hex for _ in range(count)]
        forged = [forge(marker, id or "") for marker, id in zip(markers, known, strict=True)]  # noqa: A001
        system.send([entry for entries in forged for entry in entries])
        wanted = {
            f"{marker}-{n}"
            for marker, entries in zip(markers, forged, strict=True)
            for n in range(len(entries))
        }
        kept = _wait_for(system, wanted)
        tally.count(kind, "conflict" if forge is _conflict else "stored", len(kept))
        tally.count(kind, "lost", len(wanted - kept), f"the body of {len(wanted - kept)} messages is gone")


def _wait_for(system: System, wanted: set[str]) -> set[str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        bodies = "SELECT body FROM messages UNION ALL SELECT body FROM failures"
        whole = "\n".join(row[0] for row in system.rows(bodies) if "-0" in row[0] or "-1" in row[0])
        kept = {marker for marker in wanted if marker in whole}
        emptied = system.left_in_queue() == 0
        if kept == wanted or time.monotonic() > deadline:
            return kept
        # What is gone from the queue and not in the store does not come any more.
        deadline = min(deadline, time.monotonic() + 3) if emptied else deadline
        time.sleep(0.3)

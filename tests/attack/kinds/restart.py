"""An emulator that forgets everything while dead letters are listed: the page agrees with the queue."""

import time
import uuid
from pathlib import Path
from typing import Any

import requests

from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.services import Service
from tests.support.waiting import wait_for

DEAD, DEAD_AFTERWARDS = 61, 3
PATIENCE_SECONDS = 60
POISON = "tests.support.handlers:refuse_poison,store"


def attack(system: System, tally: Tally) -> None:
    """Bury messages, restart the emulator, bury some more; then redrive one that is gone."""
    viewer = system.viewer
    count = system.size(DEAD, 5)
    with system.another(
        "consumer", "refusing consumer", HANDLER=POISON, MENDED=str(Path(system.folder) / "never")
    ):
        _stop_others(system)
        before = _bury(system, count)
        system.restart_emulator()
        after = _bury(system, DEAD_AFTERWARDS)
        wait_for(
            lambda: not _ids(system, "dead") & before, seconds=PATIENCE_SECONDS, what="the reconciliation"
        )
        dead, lost = _ids(system, "dead"), _ids(system, "lost")
        tally.count("dead letters forgotten by the emulator", "served", len(before & lost))
        tally.count("dead letters forgotten by the emulator", "lost", len(before - lost))
        tally.count("dead letters that are there", "dead", len(after & dead))
        tally.count("dead letters that are there", "lost", len(after - dead))
        _redrive_phantom(viewer, tally, min(before))
        held = requests.get(f"{viewer.url}/api/dead-letters/redrive", timeout=30).json()["waiting"]
        dead = _ids(system, "dead")
        called_dead = len(_ids(system, "dead"))
        tally.require(held == called_dead, f"{called_dead} are called dead, the queue holds {held}")


def _stop_others(system: System) -> None:
    """End the consumers that would store the poison."""
    for label in ("consumer", "second consumer"):
        system.watch.remove(label)
    for process in system.processes:
        if process.name == "consumer" and "refusing" not in process.log_file.name:
            process.ask_to_stop()
            process.wait(10)


def _bury(system: System, count: int) -> set[str]:
    sent = set(
        filter(None, system.send([{"MessageBody": f"poison {uuid.uuid4().hex}"} for _ in range(count)]))
    )
    wait_for(lambda: sent <= _ids(system, "dead"), seconds=PATIENCE_SECONDS, what="dead letters")
    wait_for(lambda: system.left_in_queue() == 0, seconds=PATIENCE_SECONDS, what="an empty queue")
    return sent


def _ids(system: System, status: str) -> set[str]:
    """Return the SQS ids of what the viewer calls dead, or lost, of the queue under attack."""
    answer: Any = requests.get(
        f"{system.viewer.url}/api/dead-letters", params={"status": status, "limit": "1000"}, timeout=30
    ).json()
    letters = answer["dead_letters"]
    return {letter["message_id"] for letter in letters if letter["queue"] == system.queue_name}


def _redrive_phantom(viewer: Service, tally: Tally, message_id: str) -> None:
    address = f"{viewer.url}/api/dead-letters/redrive"
    requests.post(address, json={"message_ids": [message_id]}, timeout=30)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (redrive := requests.get(address, timeout=30).json()["redrive"])["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    told = (redrive["moved"], redrive.get("not_found")) == (0, 1) and redrive["reason"]
    tally.count("redrives of what is gone", "refused" if told else "lost", example=redrive)

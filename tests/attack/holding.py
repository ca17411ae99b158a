"""Holding connections on which nothing is read."""

import contextlib
import socket
from collections.abc import Iterator

from tests.attack.tally import outcome_of
from tests.support.attacks import connections

RECEIVE_BUFFER = 4096


@contextlib.contextmanager
def holding(port: int, wires: list[bytes]) -> Iterator[list[str]]:
    """Hold a connection for each of these requests, and read nothing.

    At the end, the list that is yielded has the outcome of each.
    """
    outcomes: list[str] = []
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(connections(port, 1, wire, receive_buffer=RECEIVE_BUFFER)) for wire in wires
        ]
        yield outcomes
        outcomes += [outcome_of(_status_of(one[0]) if one else None) for one in opened]


def _status_of(connection: socket.socket) -> int | None:
    """Return the status that was sent so far; None if there is none."""
    connection.settimeout(0.2)
    head = b""
    with contextlib.suppress(OSError):
        head = connection.recv(64)
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None

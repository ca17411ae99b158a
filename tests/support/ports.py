"""Ports on loopback for what tests start, without a race between the processes that run tests.

Each process takes a block of ports by binding the block's first one, for as long as it lives: nobody else, be
it a worker of this session or another session on this machine, takes from the same block. The blocks lie
below the ports that Linux and macOS give to outgoing connections.
"""

import functools
import itertools
import random
import socket
from collections.abc import Iterator

FIRST_PORT, LAST_PORT, BLOCK = 20_000, 32_000, 200


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else is given."""
    _, ports = _block()
    return next(port for port in itertools.islice(ports, BLOCK) if _bind(port, keep=False))


def free_ports(count: int) -> list[int]:
    """Return so many ports in a row."""
    while True:
        ports = [free_port() for _ in range(count)]
        if ports == list(range(ports[0], ports[0] + count)):
            return ports


def closed_port() -> int:
    """Return a port that refuses connections for as long as this process lives."""
    guard, _ = _block()
    return int(guard.getsockname()[1])


@functools.cache
def _block() -> tuple[socket.socket, Iterator[int]]:
    """Take a block: return its bound first port, and the others over and over."""
    blocks = list(range(FIRST_PORT, LAST_PORT, BLOCK))
    # By chance, so that a port is not used again right after another session has used it.
    for first in random.sample(blocks, len(blocks)):
        if guard := _bind(first, keep=True):
            return guard, itertools.cycle(range(first + 1, first + BLOCK))
    raise RuntimeError(f"all blocks of ports from {FIRST_PORT} to {LAST_PORT} are taken")


def _bind(port: int, *, keep: bool) -> socket.socket | None:
    """Return a socket bound to this port, closed unless it is to be kept; None if the port is taken."""
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return None
    if not keep:
        probe.close()
    return probe

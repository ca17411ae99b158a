"""Many readers of one viewer's stream in one process, lean enough not to be what is measured.

`python -m tests.support.stream_readers PORT STREAMS SECONDS [QUERY ...]` opens so many streams, the queries
in turn, and prints `open` once each is. After so many seconds it prints, as JSON, what came (see `figures`):
while it reads it only notes when which bytes arrived, and takes them apart afterwards.
"""

import json
import re
import resource
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

READY = b"event: ready"
EVENT = re.compile(rb'id: (\d+)\nevent: message\ndata: .*?"time":"([^"]+)"')


@dataclass
class Reader:
    """One stream: its connection, and what arrived on it when."""

    connection: socket.socket
    arrivals: list[tuple[float, bytes]] = field(default_factory=list)
    open: bool = True

    def messages(self) -> list[tuple[int, float]]:
        """Return the seq of each message, and the seconds from its publishing to its arrival here."""
        found, ends, text = [], [], b""
        for at, received in self.arrivals:
            text += received
            ends.append((len(text), at))
        place = 0
        for event in EVENT.finditer(text):
            while ends[place][0] < event.end():
                place += 1
            published = datetime.fromisoformat(event[2].decode()).timestamp()
            found.append((int(event[1]), ends[place][1] - published))
        return found


def open_reader(port: int, query: str) -> Reader:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"GET /api/stream{query} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    connection.setblocking(False)
    return Reader(connection)


def read(selector: selectors.BaseSelector, timeout: float) -> None:
    ready = selector.select(timeout)
    for key, _ in ready:
        reader: Reader = key.data
        received = reader.connection.recv(8192)
        reader.arrivals.append((time.time(), received))
        if not received:
            reader.open = False
            selector.unregister(reader.connection)


def figures(readers: list[Reader]) -> dict[str, Any]:
    """Return how many streams stayed open, the seqs that each received, and all latencies in seconds."""
    received = [reader.messages() for reader in readers]
    return {
        "open": sum(
            reader.open and READY in b"".join(text for _, text in reader.arrivals) for reader in readers
        ),
        "seqs": [[seq for seq, _ in messages] for messages in received],
        "latencies": [latency for messages in received for _, latency in messages],
    }


def main(port: int, streams: int, seconds: float, queries: list[str]) -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    selector, readers = selectors.DefaultSelector(), []
    for number in range(streams):
        reader = open_reader(port, queries[number % len(queries)])
        selector.register(reader.connection, selectors.EVENT_READ, reader)
        readers.append(reader)
        read(selector, 0)
    while any(not reader.arrivals for reader in readers):
        read(selector, 1)
    print("open", flush=True)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        read(selector, 0.1)
    print(json.dumps(figures(readers)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:] or [""])

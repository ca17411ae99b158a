"""Log forgery: no input forges, breaks or drops a line, in both formats."""

import contextlib
import json
import random
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from tests.attack.hostile_messages import event
from tests.attack.system import System
from tests.attack.tally import Tally
from tests.support.attacks import connect
from tests.support.services import Service
from tests.support.waiting import wait_for

SEED = 7
FORGED = "FORGED"
LINES = (
    f'\n{{"level":"INFO","message":"{FORGED}"}}',
    f"\r\n12:00:00.000 INFO    {FORGED}",
    f"\n12:00:00.000 ERROR   {FORGED}",
    f"\x1b[2K\x1b[1A{FORGED}",
    f"\u2028{FORGED}",
    f"\x85{FORGED}",
    f"\x0b\x0c{FORGED}",
    f"\ud800{FORGED}",
    f"\x00{FORGED}",
    f'" {FORGED} "',
    f"\\n{FORGED}",
    f"%0a{FORGED}",
    "x" * 20_000,
)
# What a line in LOG_FORMAT=text begins with. A traceback of our own would not, and none is wanted here.
TEXT_LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} [A-Z]+ ")
MAX_LINE_BYTES = 20_000
# Everything that a terminal, or a program that splits lines, does not take for a character of a line.
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def attack(system: System, tally: Tally) -> None:
    """Send forged lines to viewers and consumers that write both formats."""
    for log_format in ("text", "json"):
        with (
            system.another("viewer", f"viewer with {log_format} logs", LOG_FORMAT=log_format) as viewer,
            system.another("consumer", f"consumer with {log_format} logs", LOG_FORMAT=log_format) as consumer,
        ):
            _request(system, viewer)
            _send(system)
            wait_for(lambda: system.left_in_queue() == 0, seconds=60, what="an empty queue")
            for service, name in ((viewer, "viewer"), (consumer, "consumer")):
                _judge(tally, f"{log_format} logs of the {name}", service, log_format)


def _request(system: System, viewer: Service) -> None:
    """Send requests with forged lines in every place that the access log may quote."""
    chance = random.Random(SEED)

    def send(_: int) -> None:
        line = chance.choice(LINES)
        raw = line.encode("utf-8", "surrogatepass")
        quoted = quote(raw).encode()
        wire = chance.choice(
            [
                b"GET /" + quoted + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET /api/messages?q=" + quoted + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET /" + raw + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET /api/messages/" + quoted + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "
                + raw
                + b"\r\nReferer: "
                + raw
                + b"\r\n\r\n",
                raw + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: " + raw + b"\r\nX-Forwarded-For: " + raw + b"\r\n\r\n",
            ]
        )
        with contextlib.suppress(OSError), contextlib.closing(connect(viewer.port, wire)) as connection:
            connection.recv(64)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(system.size(1_000, 60))))


def _send(system: System) -> None:
    """Send messages with forged lines in identity, type and attributes."""
    bodies = [
        json.dumps({**event(f"/log{line}", f"{uuid.uuid4().hex}{line}"), "type": f"t{line}"})
        for line in LINES
        for _ in range(system.size(20))
    ]
    system.send([{"MessageBody": body} for body in bodies])


def _judge(tally: Tally, kind: str, service: Service, log_format: str) -> None:
    """Read the log line by line as a program does, and count what is not a line of ours."""
    raw = service.process.log_file.read_bytes()
    for line in raw.decode(errors="surrogateescape").split("\n")[:-1]:
        wrong = _problem_of(line, log_format)
        tally.count(kind, "forged" if wrong else "served", example=f"{wrong}: {line[:120]!r}")


def _problem_of(line: str, log_format: str) -> str | None:
    if len(line) > MAX_LINE_BYTES:
        return "not cut at a bound"
    if control := CONTROL.search(line):
        return f"a control character {control[0]!r}"
    if log_format == "text":
        return None if TEXT_LINE.match(line) else "not a line of ours"
    try:
        document = json.loads(line)
    except ValueError:
        return "not JSON"
    if document.get("message") == FORGED:
        return "forged"
    return "a traceback" if "exc_info" in document else None

"""Masking: random secrets are hidden in random shapes, and every endpoint is asked for them."""

import base64
import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import requests

from tests.attack.hostile_messages import event
from tests.attack.system import Entry, System
from tests.attack.tally import Tally
from tests.support.services import Service

SEED = 7
REDACT = "data.card,data.order.pin,data.user.email,attr.token"
# Stores, and then refuses some.
HANDLER = "store,tests.support.handlers:refuse_some_with_a_quotation"
PATIENCE_SECONDS = 30
ANSWER_SECONDS = 30

Period = dict[str, str]  # `since` and `until` of a search


def attack(system: System, tally: Tally) -> None:
    """Send messages with secrets; no byte that leaves the viewer contains one, and no search finds one."""
    chance = random.Random(SEED)
    secrets = [f"zq{uuid.UUID(int=chance.getrandbits(128)).hex}" for _ in range(system.size(100, 12))]
    queue, began = system.new_queue(), datetime.now(UTC)
    with (
        system.another("viewer", "masking viewer", REDACT=REDACT, **queue) as viewer,
        system.another("consumer", "masking consumer", REDACT=REDACT, HANDLER=HANDLER, **queue) as consumer,
    ):
        system.send([_hide(chance, secret) for secret in secrets], queue["QUEUE_NAME"])
        _wait_until_known(system, secrets, queue["QUEUE_NAME"])
        for path, text in _everything(viewer, system.size(200, 15)):
            found = [secret for secret in secrets if secret in text]
            tally.count(
                "endpoints that show all", "leaked" if found else "served", example=f"{path}: {found[:1]}"
            )
        # Before the searches: what a reader types into an address is not masked.
        for service in (viewer, consumer):
            log = service.log()
            told = sum(secret in log for secret in secrets)
            tally.require(not told, f"the log of the {service.process.name} tells {told} secrets")
        # Only among these messages: reading all texts again and again is another attack.
        period = {"since": began.isoformat(), "until": datetime.now(UTC).isoformat()}
        for number, secret in enumerate(secrets):
            leak = _leak(chance, viewer, secret, period, thoroughly=number < system.size(5))
            tally.count("secrets searched for", "leaked" if leak else "refused", example=leak)


def _hide(chance: random.Random, secret: str) -> Entry:
    """Return a message with this secret in a masked place."""
    identity = f"secret-{uuid.uuid4().hex}"
    masked: dict[str, Any] = chance.choice(
        [
            {"card": secret},
            {"card": [secret, {"n": secret}]},
            {"order": {"pin": secret}},
            {"order": [{"pin": secret}]},
            {"order.pin": secret},
            {"user": {"email": secret}},
            {"user.email": secret},
        ]
    )
    plain = json.dumps(masked)
    whole = json.dumps(event("/shop", identity, {"text": "an order", **masked}))
    body = chance.choice(
        [
            whole,
            plain,
            json.dumps([masked]),
            json.dumps({"specversion": "1.0", "data": masked}),
            json.dumps(event("/shop", identity, {"text": plain})),
            json.dumps(event("/shop", identity, plain)),
            f'{{"data":{plain},"data":{{}}}}',
            whole[:-1] + ',"data":{}}',
            whole.replace('"card"', '"c\\u0061rd"').replace('"order"', '"ord\\u0065r"'),
            json.dumps(
                {"Type": "Notification", "MessageId": identity, "TopicArn": "arn:x", "Message": whole}
            ),
            json.dumps({"payload": plain}),
            json.dumps(event("/shop", identity, None)).replace("null", plain + "[" * 2_000 + "]" * 2_000),
            json.dumps(
                {**event("/shop", identity), "data_base64": base64.b64encode(plain.encode()).decode()}
            ),
            plain[:-1],
        ]
    )
    attributes = {"token": {"DataType": "String", "StringValue": secret}}
    return {"MessageBody": body, "MessageAttributes": attributes}


def _wait_until_known(system: System, secrets: list[str], queue_name: str) -> None:
    """Wait until each message is stored, and those that the handler refuses are dead."""
    rows = """
        SELECT (SELECT count(*) FROM messages WHERE queue = %s),
               (SELECT count(*) FROM failures WHERE queue = %s AND dead_at IS NULL)"""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while system.rows(rows, queue_name, queue_name) != [(len(secrets), 0)] and time.monotonic() < deadline:
        time.sleep(0.3)


def _searches(secret: str, length: int, *, thoroughly: bool) -> list[str]:
    """Return searches that would find a message by its secret, or by so many characters of it."""
    part = secret[:length]
    searches = [secret, f'"{secret}"', f"attr.token:{secret}", f'"{part}"', f"attr.token:{part}*"]
    if thoroughly:
        fields = ("data.card", "card", "data.order.pin", "user.email", "data.card.n", "c\\u0061rd")
        searches += [f"{field}:{value}" for field in fields for value in (secret, f"{part}*")]
        searches += [part, f'copyof:"{secret}"', f"source:{part}*", f"id:{part}*", f"type:{secret}"]
    return [*searches, *(f"-{q}" for q in searches)]


def _leak(
    chance: random.Random, viewer: Service, secret: str, period: Period, *, thoroughly: bool
) -> str | None:
    """Return a request that is answered otherwise than one for a secret that nobody has; None if none is."""
    length, nobodys = chance.randint(6, 30), f"zq{uuid.UUID(int=chance.getrandbits(128)).hex}"
    pairs = zip(
        _searches(secret, length, thoroughly=thoroughly),
        _searches(nobodys, length, thoroughly=thoroughly),
        strict=True,
    )
    paths = ("/api/messages", "/api/messages.ndjson", "/api/messages.csv", "/") if thoroughly else ()
    for q, other in pairs:
        for path in ("/api/messages/facets", *paths):
            if _seen(viewer, path, q, period, secret) != _seen(viewer, path, other, period, nobodys):
                return f"{path}?q={q}"
    return None


def _seen(viewer: Service, path: str, q: str, period: Period, secret: str) -> tuple[int, object]:
    """Return the status, and what tells how many messages were found."""
    answer = requests.get(viewer.url + path, params={"q": q, **period}, timeout=ANSWER_SECONDS)
    # What was typed is quoted in some answers.
    text = answer.text.replace(secret, "")
    if path == "/api/messages/facets" and answer.status_code == 200:
        return answer.status_code, answer.json()["counted"]
    if path == "/":  # which shows what came meanwhile, too
        return answer.status_code, "data-seq=" in text
    return answer.status_code, (text.count('"seq"'), text.count("\n"))


def _everything(viewer: Service, most: int) -> Iterator[tuple[str, str]]:
    """Yield the template of every endpoint that is described, and all that it shows."""
    listed = requests.get(f"{viewer.url}/api/messages?limit=500", timeout=ANSWER_SECONDS).json()["messages"]
    letters = requests.get(f"{viewer.url}/api/dead-letters", timeout=ANSWER_SECONDS).json()["dead_letters"]
    described = requests.get(f"{viewer.url}/api/openapi.json", timeout=ANSWER_SECONDS).json()["paths"]
    values = {
        "{seq}": [one["seq"] for one in listed[:most]],
        "{message_id}": [one["message_id"] for one in letters],
    }
    for template in ["/", "/?m={seq}", *(path for path, methods in described.items() if "get" in methods)]:
        if template.endswith("/stream"):
            yield template, _beginning_of_stream(viewer)
            continue
        names = [name for name in values if name in template]
        for value in values[names[0]] if names else [""]:
            path = template.replace(names[0], str(value)) if names else template
            answer = requests.get(viewer.url + path, timeout=ANSWER_SECONDS, allow_redirects=False)
            yield template, f"{answer.headers}\n{answer.text}"
    wait = "/api/messages?q=nothing-like-this&wait=1&after=0&count=500"
    yield "near misses", requests.get(viewer.url + wait, timeout=ANSWER_SECONDS).text


def _beginning_of_stream(viewer: Service) -> str:
    text = ""
    with requests.get(f"{viewer.url}/api/stream?after=0", stream=True, timeout=ANSWER_SECONDS) as answer:
        deadline = time.monotonic() + 3
        for line in answer.iter_lines():
            text += line.decode(errors="replace")
            if time.monotonic() > deadline:
                break
    return text

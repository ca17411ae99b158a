"""Who may come in: names that were rebound, pages of other origins, guessed tokens, redirects elsewhere."""

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin, urlsplit

import requests

from tests.attack.system import TOKEN, System
from tests.attack.tally import Tally
from tests.support.services import Service

HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:5000",
    "localhost@evil.example",
    "xn--lcalhost-54a",
    "0x7f.evil.example",
    "[::1].evil.example",
    "evil.example, localhost",
)
ORIGINS: tuple[dict[str, str], ...] = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none, cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
)
WRITES = (
    ("POST", "/api/messages", '{"text":"rebound"}'),
    ("DELETE", "/api/messages?all=1", None),
    ("POST", "/api/dead-letters/redrive", '{"all":true}'),
    ("DELETE", "/api/dead-letters?status=lost", None),
    ("DELETE", "/api/dead-letters/redrive", None),
    ("POST", "/api/dead-letters/redrive?queue=orders-dlq", '{"all":true}'),
    ("POST", "/api/messages/exact", '{"body":"rebound","queue":"orders"}'),
    ("POST", "/api/replays", '{"per_second":10}'),
    ("DELETE", "/api/replays/1", None),
    ("PUT", "/api/faults", '{"fail":1}'),
)
READS = ("/", "/api/messages", "/api/dead-letters", "/api/messages.ndjson", "/metrics", "/docs")
TARGETS = (
    "//evil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https://evil.example",
    "///evil.example",
    "/%0a/evil.example",
    "/\n/evil.example",
    "javascript:alert(1)",
    "/%5cevil.example",
    "/%2fevil.example",
    "/\x00//evil.example",
    "/é",
    "/..//evil.example",
)
GUESSED_SECONDS = 10.0
MAX_GUESSES = 20_000
# What one address may try in that time.
MAX_CHECKED = 30


def attack(system: System, tally: Tally) -> None:
    """Knock at every door."""
    _rebind(system, tally)
    _write_from_elsewhere(system, tally)
    with system.another("viewer", "guarded viewer", VIEWER_TOKEN=TOKEN) as viewer:
        _redirect(viewer, tally)
        _guess(system, viewer, tally)
    with system.another("viewer", "second guarded viewer", VIEWER_TOKEN=TOKEN) as viewer:
        _come_without_token(viewer, tally)


def _rebind(system: System, tally: Tally) -> None:
    """Ask by names that lead here but are not ours."""
    for host in HOSTS:
        for path in READS:
            _expect_refusal(tally, "reads by a rebound name", system.viewer, "GET", path, {"Host": host})
        for method, path, body in WRITES:
            _expect_refusal(
                tally, "writes by a rebound name", system.viewer, method, path, {"Host": host}, body
            )


def _write_from_elsewhere(system: System, tally: Tally) -> None:
    """Write as the page of another site makes a browser do."""
    for headers in ORIGINS:
        for method, path, body in WRITES:
            _expect_refusal(tally, "cross-site writes", system.viewer, method, path, headers, body)


def _come_without_token(viewer: Service, tally: Tally) -> None:
    for path in READS[1:]:
        if path != "/metrics":  # open to Prometheus
            _expect_refusal(tally, "without a token", viewer, "GET", path, {})
    for method, path, body in WRITES:
        _expect_refusal(tally, "without a token", viewer, method, path, {}, body)


def _expect_refusal(  # noqa: PLR0917 - a request has so many parts
    tally: Tally,
    kind: str,
    viewer: Service,
    method: str,
    path: str,
    headers: dict[str, str],
    body: str | None = None,
) -> None:
    json_type = {"Content-Type": "application/json"} if body else {}
    try:
        answer = requests.request(
            method,
            viewer.url + path,
            data=body,
            headers={**json_type, **headers},
            allow_redirects=False,
            timeout=30,
        )
    except requests.RequestException:
        tally.count(kind, "closed")
        return
    login = answer.status_code in (302, 303) and "/login" in answer.headers["Location"]
    if answer.status_code < 400 and not login:
        tally.count(
            kind, "leaked", example=f"{method} {path} with {headers} was answered {answer.status_code}"
        )
    else:
        tally.count_status(kind, 403 if login else answer.status_code, f"{method} {path} with {headers}")


def _redirect(viewer: Service, tally: Tally) -> None:
    """Sign in with links that should lead elsewhere; the browser's idea of an address counts."""
    for target in TARGETS:
        answer = requests.post(
            f"{viewer.url}/login",
            params={"next": target},
            data={"token": TOKEN},
            allow_redirects=False,
            timeout=30,
        )
        location = answer.headers.get("Location", "")
        # Browsers remove tabs and newlines, and take a backslash for a slash (URL Standard).
        as_browser = location.replace("\\", "/").translate({9: None, 10: None, 13: None})
        leads_to = urlsplit(urljoin(f"{viewer.url}/login", as_browser)).netloc
        if leads_to != urlsplit(viewer.url).netloc:
            tally.count("redirects elsewhere", "leaked", example=f"next={target!r} leads to {location!r}")
        else:
            tally.count_status("redirects elsewhere", answer.status_code, f"next={target!r}")


def _guess(system: System, viewer: Service, tally: Tally) -> None:
    """Try tokens in every way, as quickly as it goes."""
    seconds = max(1.0, GUESSED_SECONDS * system.share)
    for way in ("bearer", "form", "cookie"):
        deadline = time.monotonic() + seconds
        checked = 0

        def guess(number: int, way: str = way, deadline: float = deadline) -> int | None:
            if time.monotonic() > deadline:
                return None
            return _try_token(viewer, way, f"guess-{number}-{'x' * 16}")

        with ThreadPoolExecutor(8) as pool:
            for status in pool.map(guess, range(system.size(MAX_GUESSES))):
                if status is None:
                    break
                checked += status != 429
                tally.count_status(f"guessed tokens by {way}", status)
                if status < 400 and way != "cookie":
                    tally.count(f"guessed tokens by {way}", "leaked")
            pool.shutdown(cancel_futures=True)
        tally.require(
            checked <= MAX_CHECKED,
            f"{checked} guesses by {way} were checked in {seconds:.0f} s",
        )


def _try_token(viewer: Service, way: str, token: str) -> int:
    if way == "form":
        return requests.post(f"{viewer.url}/login", data={"token": token}, timeout=30).status_code
    headers = {"Authorization": f"Bearer {token}"} if way == "bearer" else {"Cookie": f"fanout={token}"}
    answer = requests.get(f"{viewer.url}/api/messages", headers=headers, allow_redirects=False, timeout=30)
    return answer.status_code

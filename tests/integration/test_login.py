"""Signing in and out, guessing tokens, and proxies in between."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask.testing import FlaskClient
from pydantic import SecretStr

from local.emulators import aws_environment
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import Store
from viewer.access import sessions, tokens

OpenViewer = Callable[..., FlaskClient]
TOKEN = "a token of some length"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer a guess of some length"}


@pytest.fixture(autouse=True)
def no_new_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no client have another try during a test, however long a busy machine takes for it."""
    monkeypatch.setattr(tokens, "CLIENT_SECONDS", 3600.0)


@pytest.fixture
def guarded(open_viewer: OpenViewer, store: Store) -> FlaskClient:
    return open_viewer(store, viewer_token=SecretStr(TOKEN))


def sign_in(viewer: FlaskClient) -> str:
    """Sign in and return the cookie."""
    assert viewer.post("/login", data={"token": TOKEN}).status_code == 302
    cookie = viewer.get_cookie("fanout")
    assert cookie
    return cookie.value


def status_with(viewer: FlaskClient, cookie: str) -> int:
    """Return the status that a client gets who has only this cookie."""
    thief = viewer.application.test_client()
    thief.set_cookie("fanout", cookie)
    return thief.get("/api/messages").status_code


# ---- sessions


def test_a_logout_ends_the_session_on_every_viewer_whoever_has_its_cookie(
    open_viewer: OpenViewer, store: Store
) -> None:
    viewer, replica = (open_viewer(store, viewer_token=SecretStr(TOKEN)) for _ in range(2))
    stolen, other = sign_in(viewer), sign_in(viewer.application.test_client())
    assert status_with(replica, stolen) == 200

    out = viewer.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})

    assert (out.status_code, out.location) == (302, "/login")
    assert viewer.get_cookie("fanout") is None
    assert [status_with(one, stolen) for one in (viewer, replica)] == [401, 401]
    assert status_with(replica, other) == 200


def test_no_other_website_signs_a_reader_out_or_in(guarded: FlaskClient) -> None:
    cookie = sign_in(guarded)

    for path in ("/logout", "/login"):
        assert guarded.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert guarded.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
        assert guarded.post(path, headers={"Origin": "http://["}).status_code == 403

    assert status_with(guarded, cookie) == 200


def test_another_token_ends_all_sessions(open_viewer: OpenViewer, store: Store) -> None:
    cookie = sign_in(open_viewer(store, viewer_token=SecretStr(TOKEN)))

    assert status_with(open_viewer(store, viewer_token=SecretStr(TOKEN + "2")), cookie) == 401


def test_a_session_ends_after_half_a_day_however_much_it_is_used(guarded: FlaskClient, store: Store) -> None:
    cookie = sign_in(guarded)
    assert status_with(guarded, cookie) == 200
    with store.connection() as connection:
        row = connection.execute("SELECT ends_at - now() FROM sessions").fetchone()
        assert row
        assert 43_000 < row[0].total_seconds() <= 43_200
        connection.execute("UPDATE sessions SET ends_at = ends_at - interval '12 h'")

    assert status_with(guarded, cookie) == 401
    sign_in(guarded)
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_signing_in_again_ends_the_session_before(guarded: FlaskClient) -> None:
    first = sign_in(guarded)
    second = sign_in(guarded)

    assert (status_with(guarded, first), status_with(guarded, second)) == (401, 200)


def test_whoever_reads_the_store_cannot_sign_in(guarded: FlaskClient, store: Store) -> None:
    cookie = sign_in(guarded)
    with store.connection() as connection:
        [row] = connection.execute("SELECT digest, encode(digest, 'hex') FROM sessions").fetchall()

    assert cookie.encode() not in row[0]
    assert status_with(guarded, row[1]) == 401


def test_a_stream_ends_with_its_session(
    guarded: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "STREAM_CHECK_SECONDS", 0)
    sign_in(guarded)
    stream = guarded.get("/api/stream").iter_encoded()
    next(stream)
    store.add([arrival("before")])
    assert b"before" in next(stream)

    guarded.post("/logout")
    store.add([arrival("after")])

    assert b"after" not in b"".join(stream)


def test_without_the_database_nobody_enters_with_a_cookie_and_the_page_says_why(
    guarded: FlaskClient, store: Store
) -> None:
    sign_in(guarded)
    with store.connection() as connection:
        connection.execute("ALTER TABLE sessions RENAME TO away")

    page, listed = guarded.get("/"), guarded.get("/api/messages")

    assert (page.status_code, listed.status_code) == (503, 503)
    assert "does not answer" in page.text
    assert guarded.post("/login", data={"token": TOKEN}).status_code == 503
    assert guarded.get("/api/messages", headers=RIGHT).status_code == 200


# ---- guessing


def guess(viewer: FlaskClient, way: str, address: str, guess: str) -> int:
    environ = {"REMOTE_ADDR": address}
    client = viewer.application.test_client()
    if way == "form":
        return client.post("/login", data={"token": guess}, environ_overrides=environ).status_code
    if way == "cookie":
        client.set_cookie("fanout", guess)
        return client.get("/api/messages", environ_overrides=environ).status_code
    headers = {"Authorization": f"Bearer {guess}"}
    return client.get("/api/messages", headers=headers, environ_overrides=environ).status_code


@pytest.mark.parametrize(
    ("way", "refused", "entered"), [("form", 403, 302), ("bearer", 401, 200), ("cookie", 401, 200)]
)
def test_guesses_are_slowed_for_the_address_that_makes_them(
    guarded: FlaskClient, way: str, refused: int, entered: int
) -> None:
    right = sign_in(guarded) if way == "cookie" else TOKEN

    statuses = Counter(guess(guarded, way, "10.0.0.1", f"guess {number}") for number in range(100))

    assert statuses == {refused: 10, 429: 90}
    assert guess(guarded, way, "10.0.0.2", right) == entered
    # A right token would tell a guesser as much as a wrong one. A cookie cannot be guessed.
    assert guess(guarded, way, "10.0.0.1", right) == (entered if way == "cookie" else 429)


def test_who_guesses_is_told_how_long_to_wait(guarded: FlaskClient) -> None:
    for _ in range(10):
        guarded.get("/api/messages", headers=WRONG)

    refused, form = guarded.get("/api/messages", headers=WRONG), guarded.post("/login", data={"token": "x"})

    assert refused.mimetype == "application/problem+json"
    for answer in (refused, form):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= tokens.CLIENT_SECONDS
        assert "oo many wrong tokens" in answer.text


def test_a_reader_whose_tabs_send_an_old_cookie_can_still_sign_in(guarded: FlaskClient) -> None:
    guarded.set_cookie("fanout", "of an earlier token")
    for _ in range(50):
        guarded.get("/api/messages")
    page = guarded.get("/")

    assert (page.status_code, page.location) == (302, "/login?next=/")
    assert guarded.get_cookie("fanout") is None
    sign_in(guarded)


def test_right_tokens_are_never_slowed(guarded: FlaskClient) -> None:
    assert {guarded.get("/api/messages", headers=RIGHT).status_code for _ in range(100)} == {200}


# ---- proxies


def behind(viewer: FlaskClient, forwarded: str, *, peer: str = "10.0.0.1") -> int:
    """Return the status that a client with a wrong token gets through a proxy."""
    headers = {**WRONG, "X-Forwarded-For": forwarded}
    return viewer.get("/api/messages", headers=headers, environ_overrides={"REMOTE_ADDR": peer}).status_code


@pytest.fixture
def proxied(open_viewer: OpenViewer, store: Store) -> FlaskClient:
    return open_viewer(store, viewer_token=SecretStr(TOKEN), forwarded_allow_ips="10.0.0.0/24, ::1")


def test_clients_of_a_trusted_proxy_are_told_apart(proxied: FlaskClient) -> None:
    for _ in range(20):
        behind(proxied, "203.0.113.1")

    assert behind(proxied, "203.0.113.1") == 429
    assert behind(proxied, "203.0.113.2") == 401
    # Of several, the last that is no trusted proxy counts: what stands before it may be invented.
    assert behind(proxied, "203.0.113.9, 203.0.113.1") == 429
    assert behind(proxied, "203.0.113.9, 203.0.113.1, 10.0.0.7") == 429


@pytest.mark.parametrize("settings", [{}, {"forwarded_allow_ips": "10.0.0.0/24"}])
def test_who_is_no_trusted_proxy_cannot_choose_an_address(
    open_viewer: OpenViewer, store: Store, settings: dict[str, str]
) -> None:
    viewer = open_viewer(store, viewer_token=SecretStr(TOKEN), **settings)

    statuses = Counter(behind(viewer, f"203.0.113.{number}", peer="192.0.2.1") for number in range(100))

    assert statuses == {401: 10, 429: 90}


@pytest.mark.parametrize(
    "forwarded", ["unknown", "", ",", "x" * 1000, "203.0.113.300", "10.0.0.2", "fe80::1%eth0"]
)
def test_an_odd_address_from_a_proxy_is_no_way_around(proxied: FlaskClient, forwarded: str) -> None:
    statuses = Counter(behind(proxied, forwarded) for _ in range(30))

    assert statuses == {401: 10, 429: 20}


def test_invented_addresses_are_slowed_together(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store, viewer_token=SecretStr(TOKEN), forwarded_allow_ips="*")

    statuses = Counter(behind(viewer, f"203.0.{number // 200}.{number % 200}") for number in range(1000))

    assert 200 <= statuses[401] <= 300
    assert statuses[401] + statuses[429] == 1000


@pytest.fixture
def start_guarded(start: Callable[..., Service], store: Store) -> Callable[..., Service]:
    def start_guarded(**settings: str) -> Service:
        environment = {"DATABASE_URL": store.url, "VIEWER_TOKEN": TOKEN, **aws_environment(closed_port())}
        return start("viewer", environment, **settings)

    return start_guarded


@pytest.mark.parametrize(
    ("trusted", "secure"), [("", False), ("10.9.9.9", False), ("127.0.0.1", True), ("*", True)]
)
def test_a_cookie_is_secure_where_a_trusted_proxy_ends_tls(
    start_guarded: Callable[..., Service], trusted: str, secure: bool
) -> None:
    viewer = start_guarded(FORWARDED_ALLOW_IPS=trusted)

    def sign_in_at(host: str) -> requests.Response:
        return requests.post(
            f"{viewer.url}/login",
            data={"token": TOKEN},
            headers={"X-Forwarded-Proto": "https", "Host": host},
            allow_redirects=False,
            timeout=10,
        )

    answer = sign_in_at("fanout.example")

    assert answer.status_code == 302
    assert ("Secure" in answer.headers["Set-Cookie"]) is secure
    assert ("Strict-Transport-Security" in answer.headers) is secure
    # Browsers apply it to all ports of a host: it would break what else is served at localhost.
    assert "Strict-Transport-Security" not in sign_in_at(f"localhost:{viewer.port}").headers


def test_parallel_guesses_at_a_running_viewer_are_slowed(start_guarded: Callable[..., Service]) -> None:
    viewer = start_guarded()

    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(
            pool.map(lambda _: viewer.get("/api/messages", headers=WRONG).status_code, range(400))
        )

    assert statuses[401] <= 12
    assert statuses[401] + statuses[429] == 400

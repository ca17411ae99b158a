"""The viewer by HTTPS, with a certificate that the test makes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from local.emulators import aws_environment
from pipeline.settings import load_settings
from tests.support.examples import arrival
from tests.support.ports import closed_port
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from viewer.settings import ViewerSettings


def test_a_reader_logs_in_by_https_and_follows_and_writes(
    browser: Browser,
    start: Callable[..., Service],
    store: Store,
    database_url: str,
    certificate: dict[str, str],
) -> None:
    viewer = start(
        "viewer",
        {"DATABASE_URL": database_url, **aws_environment(closed_port())},
        wait=False,
        VIEWER_TOKEN="sesame, sesame, open",
        **certificate,
    )
    url = f"https://localhost:{viewer.port}"

    def is_up() -> bool:
        try:
            return requests.get(f"{url}/health", verify=certificate["TLS_CERTFILE"], timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    wait_for(is_up, 30)
    with pytest.raises(requests.ConnectionError):
        viewer.get("/health")  # by plain HTTP
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()

    page.goto(url)
    page.get_by_label("Token").fill("sesame, sesame, open")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    store.add([arrival("hello")])
    expect(page.locator("tr.message")).to_have_count(1)
    deleted = page.evaluate(
        "fetch('/api/messages?all=1', {method: 'DELETE'}).then((answer) => answer.status)"
    )

    assert deleted == 200
    [cookie] = context.cookies()
    assert cookie["secure"]
    context.close()
    assert "Traceback" not in viewer.log()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TLS_KEYFILE": ""}, "should be set both, or neither"),
        ({"TLS_CERTFILE": "nowhere.crt"}, "nowhere.crt cannot be read: No such file"),
        ({"TLS_KEYFILE": "other.key"}, "the key is of another certificate"),
        ({"TLS_KEYFILE": "locked.key"}, "the key has a password"),
        ({"TLS_CERTFILE": "tls.key"}, "not PEM"),
    ],
)
def test_a_certificate_that_cannot_be_used_ends_the_start_with_one_line(
    certificate: dict[str, str], changes: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere")
    monkeypatch.chdir(Path(certificate["TLS_CERTFILE"]).parent)
    for name, value in {**certificate, **changes}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as exit_:
        load_settings(ViewerSettings)

    [line] = str(exit_.value).splitlines()
    assert "TLS_" in line
    assert said in line

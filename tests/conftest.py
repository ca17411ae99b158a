"""What holds for every test; the parts that tests start are the plugins in tests/support."""

import os

import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.scheduling",
    "tests.support.postgres",
    "tests.support.failover",
    "tests.support.emulators",
    "tests.support.certificates",
    "tests.support.services",
    "tests.support.interfaces",
    "tests.support.browser",
    "tests.support.watching",
]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell says about AWS or the services out of the tests."""
    names = (
        "DATABASE_URL",
        "TOPIC_NAME",
        "QUEUE_NAME",
        "PORT",
        "HOST",
        "MESSAGE",
        "RATE_PER_SECOND",
        "EMULATOR",
        "WATCH",
        "WATCH_ONLY",
        "TAP_NAME",
    )
    for name in os.environ:
        if name in names or name.startswith("AWS_") or name.endswith(("_PORT", "_SECONDS")):
            monkeypatch.delenv(name)

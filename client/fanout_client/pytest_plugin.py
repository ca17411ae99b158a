"""The pytest plugin: the fixture `fanout`."""

import os

import pytest

from fanout_client.client import DEFAULT_URL, Fanout
from fanout_client.errors import FanoutError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini value that say where the viewer is."""
    about = f"address of the viewer of Fanout (default: FANOUT_URL, or {DEFAULT_URL})"
    parser.getgroup("fanout").addoption("--fanout-url", help=about)
    parser.addini("fanout_url", about)


@pytest.fixture(scope="session")
def fanout_viewer(pytestconfig: pytest.Config) -> Fanout:
    """The viewer: `--fanout-url`, the ini value `fanout_url` or FANOUT_URL; FANOUT_TOKEN is its token."""
    given = pytestconfig.getoption("--fanout-url") or pytestconfig.getini("fanout_url")
    url = given or os.environ.get("FANOUT_URL") or DEFAULT_URL
    return Fanout(str(url), os.environ.get("FANOUT_TOKEN"))


@pytest.fixture
def fanout(fanout_viewer: Fanout) -> Fanout:
    """A client that finds only messages stored since the test began."""
    try:
        return fanout_viewer.from_now()
    except FanoutError as error:
        pytest.fail(f"{error}. Start it with `make run`, or set FANOUT_URL.", pytrace=False)

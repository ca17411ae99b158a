"""Which worker runs which test: whoever is free takes the next one, but some files stay together."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Their tests share what takes long to make. Those of the containers come first, because together they take
# longest. (Not by the mark xdist_group: xdist 3.8 writes it to where pytest 9.2 no longer reads it.)
TOGETHER = ("tests/system/test_containers.py",)
# The longest first, so that no worker is left alone with one.
ORDER = ("system", "integration", "unit", "browser")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the tests of a file in TOGETHER as one, all others each by itself."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort them by folder; those in a browser last, because they wait for the containers (see interfaces)."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        in_browser = "chromium" in getattr(item, "fixturenames", ())
        return in_browser, ORDER.index(item.path.parent.name)

    items.sort(key=place)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Schedule so unless another way is asked for by --dist."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: tests of several processes wait more than they compute."""
    return (os.cpu_count() or 1) + 1

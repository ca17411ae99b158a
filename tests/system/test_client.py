"""The client package, in front of running services, and its fixture in a run of pytest of its own."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fanout_client import Fanout, FanoutError, NoMatch, UnexpectedMatch
from local.emulators import aws_environment
from pipeline.aws import Topic, sns_client
from tests.support.documents import ROOT
from tests.support.emulators import Names
from tests.support.ports import closed_port
from tests.support.samples import samples
from tests.support.services import Service

CLIENT = ROOT / "client"
TOKEN = "a-token-of-16-signs"


@dataclass(frozen=True)
class Running:
    """A viewer and a consumer, and what leads to them."""

    fanout: Fanout
    topic: str

    def publish_sample(self, name: str) -> None:
        [sample] = [one for one in samples(datetime.now(UTC)) if one.name == name]
        sns = sns_client()
        sns.publish(TopicArn=Topic(sns, self.topic).arn, Message=sample.body)


@pytest.fixture
def running(ministack: Names, database_url: str, start: Callable[..., Service]) -> Running:
    environment = {**ministack.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    return Running(Fanout(viewer.url), ministack.topic)


def test_a_published_message_is_expected_and_returned_whole(running: Running) -> None:
    fanout = running.fanout.from_now()

    published = fanout.publish({"text": "two lamps", "sku": "A-1"}, {"tenant": "acme", "priority": 5})
    message = fanout.expect("sku:A-1", within=20)

    assert (message.id, message.source) == (published.id, published.source)
    assert message.data == {"text": "two lamps", "sku": "A-1"}
    assert message.attributes["tenant"] == "acme"
    assert (message.preview, message.status) == ("two lamps", None)
    assert message.event_time is not None
    assert abs(message.time - datetime.now(UTC)).total_seconds() < 60


def test_messages_are_returned_in_the_order_in_which_they_were_stored(running: Running) -> None:
    running.fanout.publish({"text": "before"})
    running.fanout.expect("before", within=20)
    fanout = running.fanout.from_now()

    for number in range(3):
        fanout.publish({"text": f"row {number}"})
    found = fanout.expect_several("row", 3, within=20)

    assert sorted(one.preview for one in found) == ["row 0", "row 1", "row 2"]
    assert [one.seq for one in found] == sorted(one.seq for one in found)
    assert fanout.expect("row") == found[0]
    assert fanout.messages() == found
    assert fanout.delete("row") == 3
    assert [one.preview for one in running.fanout.messages()] == ["before"]


def test_known_formats_and_binary_data_are_returned_as_what_they_are(running: Running) -> None:
    fanout = running.fanout.from_now()

    running.publish_sample("S3 notification")
    running.publish_sample("CloudEvent with bytes")

    assert fanout.expect("type:s3:*", within=20).preview == "S3 ObjectCreated: photos/cat 1.jpg"
    assert fanout.expect("type:shop.photo", within=20).data.startswith(b"\x89PNG")


def test_what_does_not_come_is_reported_with_what_came_closest(running: Running) -> None:
    fanout = running.fanout.from_now()
    fanout.publish({"text": "two lamps", "sku": "B-7"})
    fanout.expect("lamps", within=20)

    with pytest.raises(NoMatch) as failed:
        fanout.expect("lamps sku:A-1", within=0.2)

    [miss] = failed.value.near_misses
    assert (miss.failed, miss.actual, miss.preview) == ("sku:A-1", "sku is B-7", "two lamps")
    assert str(failed.value).splitlines() == [
        "no message matched 'lamps sku:A-1' within 0.2 s",
        f"  message {miss.seq} (fanout.text: two lamps)",
        "    missed sku:A-1: sku is B-7",
    ]
    with pytest.raises(NoMatch, match=r"^1 of 2 messages matched 'lamps' within 1 s"):
        fanout.expect_several("lamps", 2, within=1)


def test_what_should_not_come_fails_as_soon_as_it_does(running: Running) -> None:
    fanout = running.fanout.from_now()
    fanout.expect_none("refund", within=0.5)
    threading.Timer(0.5, fanout.publish, [{"text": "a refund"}]).start()
    began = time.monotonic()

    with pytest.raises(UnexpectedMatch, match="refund"):
        fanout.expect_none("refund", within=30)

    assert time.monotonic() - began < 20


# ---- errors


@pytest.fixture
def viewer(database_url: str, start: Callable[..., Service]) -> Service:
    environment = {**aws_environment(closed_port()), "DATABASE_URL": database_url}
    return start("viewer", environment, VIEWER_TOKEN=TOKEN)


def test_a_refused_request_says_why(viewer: Service) -> None:
    with pytest.raises(FanoutError, match="refuses") as refused:
        Fanout(viewer.url).messages()
    assert refused.value.status == 401

    with pytest.raises(FanoutError, match="larger:big should be a size"):
        Fanout(viewer.url, TOKEN).expect("larger:big", within=30)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Fanout(token="secret"))


def test_what_is_no_viewer_is_named() -> None:
    url = f"http://127.0.0.1:{closed_port()}"

    with pytest.raises(FanoutError, match=f"no viewer of Fanout answers at {url}: "):
        Fanout(url).expect("x", within=30)


# ---- the fixture


TESTS = """
def test_passes(fanout):
    fanout.publish({"text": "two lamps", "sku": "B-7"})
    assert fanout.expect("sku:B-7", within=20).data["text"] == "two lamps"

def test_fails(fanout):
    fanout.publish({"text": "a lamp", "sku": "C-8", "note": "long " * 30})
    fanout.expect("sku:C-8", within=20)
    fanout.expect("lamp sku:A-1 note:short", within=1)
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_shop.py").write_text(TESTS)
    plugins = ["-p", "fanout_client.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CLIENT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixture_finds_only_messages_of_its_test_and_prints_what_came_closest(
    running: Running, tmp_path: Path
) -> None:
    running.fanout.publish({"text": "of an earlier run", "sku": "A-1"})
    running.fanout.expect("sku:A-1", within=20)

    done = run_pytest(tmp_path, FANOUT_URL=running.fanout.url)

    assert "1 failed, 1 passed" in done.stdout, done.stdout
    errors = [line.removeprefix("E ").strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    assert errors[0].endswith("no message matched 'lamp sku:A-1 note:short' within 1 s")
    assert re.fullmatch(r"message \d+ \(fanout.text: a lamp\)", errors[1])
    assert errors[2] == "missed sku:A-1: sku is C-8"
    assert "client.py" not in done.stdout  # the test itself is shown, not the client


def test_the_fixture_fails_in_one_line_without_a_viewer(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"

    done = run_pytest(tmp_path, f"--fanout-url={url}")

    assert f"no viewer of Fanout answers at {url}" in done.stdout
    assert "make run" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder in which the package is installed, as its users install it."""
    target = tmp_path / "site"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", target, CLIENT], check=True)
    return target


def test_the_package_installs_with_its_types_and_its_plugin(installed: Path) -> None:
    assert (installed / "fanout_client" / "py.typed").exists()
    [entry_points] = installed.glob("fanout_client-*.dist-info/entry_points.txt")
    assert "fanout = fanout_client.pytest_plugin" in entry_points.read_text().replace("  ", " ")
    [metadata] = installed.glob("fanout_client-*.dist-info/METADATA")
    assert "Requires-Dist" not in metadata.read_text()

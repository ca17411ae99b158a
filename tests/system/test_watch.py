"""`make watch`, as its users start and stop it beside a system that is not ours."""

from collections.abc import Callable
from pathlib import Path

import boto3
import psutil
import pytest

from pipeline.aws import sqs_client
from pipeline.endpoint import list_queues, list_subscriptions
from tests.support.emulators import open_emulator
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.ports import closed_port, free_port
from tests.support.tapping import publish_to
from tests.support.waiting import wait_for
from tests.support.watching import Watch


def test_every_topic_of_somebody_elses_endpoint_is_shown_and_ctrl_c_leaves_nothing(
    account: dict[str, str], watch: Callable[..., Watch]
) -> None:
    topics = [create_topic("orders"), create_topic("payments.fifo")]
    theirs = subscribe(topics[0], create_queue("theirs"), RawMessageDelivery="true")
    running = watch(account)
    wait_for(running.is_watching, seconds=30)
    assert f"Fanout is watching {account['AWS_ENDPOINT_URL']}" in running.output()
    assert "2 of WATCH=*: orders, payments.fifo" in running.output()
    assert "THIS IS AWS" not in running.output()

    for topic in topics:
        publish_to(topic, topic.rpartition(":")[2])
    wait_for(lambda: running.previews() == ["orders", "payments.fifo"])

    running.interrupt()
    assert running.process.wait(20) == 0
    assert "2 topics unsubscribed" in running.output()
    assert [one.arn for one in list_subscriptions(boto3.client("sns"))] == [theirs]
    assert [queue.name for queue in list_queues(sqs_client(5))] == ["theirs"]
    assert "Traceback" not in running.output()


@pytest.mark.parametrize("emulator", ["ministack"])
def test_what_a_crash_leaves_is_taken_over_or_removed(
    account: dict[str, str], watch: Callable[..., Watch]
) -> None:
    topic = create_topic("orders")
    # A long poll of the dead consumer may take the message, and hide it for so long.
    environment = {**account, "TAP_NAME": "fanout-tap-of-a-test", "VISIBILITY_TIMEOUT_SECONDS": "4"}
    running = watch(environment)
    wait_for(running.is_watching, seconds=30)
    processes = psutil.Process(running.process.pid).children(recursive=True)
    for process in (psutil.Process(running.process.pid), *processes):
        process.kill()
    psutil.wait_procs(processes, 10)
    publish_to(topic, "in between")

    again = watch(environment)
    wait_for(lambda: again.previews() == ["in between"], seconds=30)
    for process in (*psutil.Process(again.process.pid).children(recursive=True),):
        process.kill()
    again.process.kill()
    again.process.wait(10)

    removal = watch(environment, "local.unwatch")
    assert removal.process.wait(20) == 0
    assert "removed the tap fanout-tap-of-a-test: 1 topic unsubscribed" in removal.output()
    assert list_queues(sqs_client(5)) == []
    assert list_subscriptions(boto3.client("sns")) == []


def test_an_endpoint_that_does_not_answer_is_named_in_one_line(watch: Callable[..., Watch]) -> None:
    port = closed_port()
    running = watch({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})

    assert running.process.wait(30) == 1
    [line] = running.output().strip().splitlines()
    assert line.startswith(f"the topics of http://127.0.0.1:{port} cannot be listed: Could not connect")


def test_without_an_endpoint_it_says_how_to_name_one(watch: Callable[..., Watch], tmp_path: Path) -> None:
    nothing = {
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    running = watch(nothing)

    assert running.process.wait(30) == 1
    [line] = running.output().strip().splitlines()
    assert "AWS_ENDPOINT_URL=http://localhost:4566 make watch" in line


@pytest.mark.parametrize("name", ["ministack", "localstack"])
def test_an_emulator_that_restarts_is_tapped_again_within_15_seconds(
    name: str, watch: Callable[..., Watch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    for variable, value in {
        **environment,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with open_emulator(name, tmp_path / "before", port):
        topic = create_topic("orders")
        running = watch(environment)
        wait_for(running.is_watching, seconds=30)
        publish_to(topic, "before")
        wait_for(lambda: running.previews() == ["before"])

    with open_emulator(name, tmp_path / "after", port):
        topic = create_topic("orders")
        wait_for(lambda: list_subscriptions(boto3.client("sns")), seconds=15, what="the new subscription")
        publish_to(topic, "after")
        wait_for(lambda: running.previews() == ["after", "before"])
        running.interrupt()
        assert running.process.wait(20) == 0

"""The AWS emulators: one of each for the session, a topic and a queue of its own for each test."""

import contextlib
import runpy
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.emulators import RESOURCES, aws_environment, start_emulator
from local.process import stop_all
from tests.support.ports import free_port
from tests.support.sharing import shared


@pytest.fixture(scope="session")
def ministack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    yield from _emulator_port("ministack", tmp_path_factory)


@pytest.fixture(scope="session")
def localstack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    yield from _emulator_port("localstack", tmp_path_factory)


def _emulator_port(name: str, folders: pytest.TempPathFactory) -> Iterator[int]:
    with shared(name, folders, lambda: open_emulator(name, folders.mktemp(name), free_port())) as port:
        yield int(port)


@contextlib.contextmanager
def open_emulator(name: str, folder: Path, port: int) -> Iterator[str]:
    """Start one on this port, and end it; it yields the port."""
    process = start_emulator(name, port, folder)
    try:
        yield str(port)
    finally:
        stop_all([process], 1)


@dataclass(frozen=True)
class Names:
    """Topic and queue of one test, created by localstack-init's file, and the variables that lead there."""

    topic: str
    queue: str
    environment: Mapping[str, str]


@pytest.fixture
def create(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Names]:
    """Create a topic and a queue with random names: `create("ministack", MAX_RECEIVE_COUNT="2")`.

    With `ending=".fifo"` they are a FIFO topic and a FIFO queue.

    boto3 in the test's own process reaches them too.
    """

    def create(emulator: str, ending: str = "", **settings: str) -> Names:
        port = request.getfixturevalue(f"{emulator}_port")
        suffix = uuid.uuid4().hex[:12]
        names = {"TOPIC_NAME": f"topic-{suffix}{ending}", "QUEUE_NAME": f"queue-{suffix}{ending}"}
        environment = {**aws_environment(port), **names, **settings}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        runpy.run_path(str(RESOURCES))
        return Names(names["TOPIC_NAME"], names["QUEUE_NAME"], environment)

    return create


@pytest.fixture(params=["ministack", "localstack"])
def emulator(request: pytest.FixtureRequest) -> str:
    """Each emulator in turn."""
    return str(request.param)


@pytest.fixture
def open_account(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, str]]:
    """Open an account with nothing in it: `open_account("localstack")` returns the variables that lead there.

    boto3 in the test's own process reaches it too, instead of the one that everything else shares.
    """

    def open_account(emulator: str) -> dict[str, str]:
        port = request.getfixturevalue(f"{emulator}_port")
        # Both emulators take a key of twelve digits for an account ("Multi-account setups", LocalStack).
        account = f"{secrets.randbelow(10**12):012}"
        environment = {**aws_environment(port), "AWS_ACCESS_KEY_ID": account}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would keep the credentials of another test
        return environment

    return open_account


@pytest.fixture
def account(emulator: str, open_account: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """An account with nothing in it, on each emulator in turn."""
    return open_account(emulator)


@pytest.fixture
def names(emulator: str, create: Callable[..., Names]) -> Names:
    """A topic and a queue, on each emulator in turn."""
    return create(emulator)


@pytest.fixture
def ministack(create: Callable[..., Names]) -> Names:
    """A topic and a queue on the quick emulator."""
    return create("ministack")


def dead_letter_name(queue: str) -> str:
    """Return the name of the dead-letter queue that is created for a queue."""
    name, dot, ending = queue.partition(".")
    return f"{name}-dlq{dot}{ending}"


def subscribed(topic: str, queue: str, *, raw: bool) -> str:
    """Create the topic, the queue and a subscription; return the topic's ARN."""
    sns: Any = boto3.client("sns")
    sqs: Any = boto3.client("sqs")
    fifo = {"FifoTopic": "true"} if topic.endswith(".fifo") else {}
    arn = sns.create_topic(Name=topic, Attributes=fifo)["TopicArn"]
    fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
    url = sqs.create_queue(QueueName=queue, Attributes=fifo)["QueueUrl"]
    endpoint = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    settings = {"RawMessageDelivery": str(raw).lower()}
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, Attributes=settings)
    return str(arn)

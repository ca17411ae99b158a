"""The whole way of a message, on real parts: services as processes, each emulator, PostgreSQL."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import requests

from pipeline.aws import Topic, sns_client
from tests.support.emulators import Names
from tests.support.services import Service
from tests.support.waiting import wait_for


def test_greetings_travel_from_the_producer_to_the_viewer(
    names: Names, database_url: str, start: Callable[..., Service]
) -> None:
    environment = {**names.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    start("producer", environment, MESSAGE="Hello test", MIN_INTERVAL_SECONDS="0", MAX_INTERVAL_SECONDS="0.2")

    wait_for(lambda: len(listed(viewer)) >= 4)

    found = listed(viewer)
    assert {1, 2, 3} <= {message["sequence"] for message in found}
    assert {message["preview"] for message in found} == {"Hello test"}


def test_a_plain_text_sent_by_hand_shows_up(
    names: Names, database_url: str, start: Callable[..., Service]
) -> None:
    environment = {**names.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)
    sns = sns_client()
    topic = Topic(sns, names.topic).arn

    sns.publish(TopicArn=topic, Message="hi")

    [message] = wait_for(lambda: listed(viewer))
    assert message["preview"] == "hi"
    assert message["type"] == "fanout.text"
    assert message["source"] == f"/sqs/{names.queue}"


def test_what_the_page_sends_comes_back_on_the_stream(
    names: Names, database_url: str, start: Callable[..., Service]
) -> None:
    environment = {**names.environment, "DATABASE_URL": database_url}
    viewer = start("viewer", environment)
    start("consumer", environment)

    text = uuid.uuid4().hex
    with viewer.get("/api/stream", stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines).startswith("retry:")
        answer = requests.post(f"{viewer.url}/api/messages", json={"text": text}, timeout=10)
        data = next(line for line in lines if line.startswith("data:") and text in line)

    assert answer.status_code == 202
    assert json.loads(data.removeprefix("data:"))["id"] == answer.json()["id"]


def listed(viewer: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = viewer.get("/api/messages").json()["messages"]
    return found

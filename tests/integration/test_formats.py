"""What really flows through SNS and SQS, as it is stored."""

from collections.abc import Callable
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from consumer.handler import StoreHandler, one_by_one
from tests.support.consuming import TestConsumer
from tests.support.dead_letters import fail
from tests.support.emulators import Names
from tests.support.examples import raw_arrival
from tests.support.samples import cloudevents, publish, samples
from tests.support.stores import Store
from tests.support.waiting import wait_for


def test_every_sample_is_stored_at_the_first_try_exactly_as_it_was_published(
    names: Names, store: Store
) -> None:
    published = samples()
    publish(names.topic, published)
    outcome = TestConsumer(names, store).take(len(published))

    assert outcome.failed == []
    assert sorted(one.body for one in store.read(range(1, 100))) == sorted(one.body for one in published)


def test_a_cloudevent_in_binary_mode_is_one_message_however_often_it_is_sent(
    names: Names, store: Store
) -> None:
    samples = [one for one in cloudevents(datetime.now(UTC)) if one.name == "CloudEvent in binary mode"]

    for _ in range(2):
        publish(names.topic, samples)
    TestConsumer(names, store).take(2)

    [message] = store.find(limit=10)
    assert (message.type, message.source, message.status) == ("shop.order", "/shop/checkout", "duplicate")
    assert message.id == samples[0].attributes["ce-id"]


def test_a_dead_letter_in_binary_mode_stays_the_same_message_when_it_is_redriven(
    create: Callable[..., Names], store: Store
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="1")
    samples = [one for one in cloudevents(datetime.now(UTC)) if one.name == "CloudEvent in binary mode"]
    publish(names.topic, samples)
    failing = TestConsumer(names, store, StoreHandler(store), one_by_one(Mock(side_effect=ValueError)))
    failing.take(1)
    wait_for(lambda: (failing.poller.poll_once(), failing.dead())[1] == 1, what="the dead letter")

    failing.dead_letters.redrive()
    TestConsumer(names, store).take(1)

    [message] = store.find(limit=10)
    assert (message.id, message.status) == (samples[0].attributes["ce-id"], "retried")


@pytest.mark.parametrize(
    ("field", "secret"),
    [
        ("data.Records.s3.object.key", "cat 1.jpg"),
        ("data.detail.order.id", "A-1042"),
        ("data.AlarmName", "too deep"),
        ("data.mail.destination", "jane@example.com"),
        ("data.detail.pipeline", "shop-release"),
    ],
)
def test_no_title_shows_a_masked_field(
    open_viewer: Callable[..., FlaskClient], store: Store, field: str, secret: str
) -> None:
    deliveries = [raw_arrival(sample.body) for sample in samples() if len(sample.body) < 10_000]
    store.add(deliveries)
    fail(store, *deliveries)

    def previews(**options: str) -> list[str]:
        viewer = open_viewer(store, **options)
        messages = viewer.get("/api/messages").json["messages"]  # type: ignore[index]
        letters = viewer.get("/api/dead-letters").json["dead_letters"]  # type: ignore[index]
        return [message["preview"] for message in messages + letters]

    titles = {one.message.title for one in deliveries if one.message.title and secret in one.message.title}

    assert titles
    assert titles <= set(previews())
    assert titles.isdisjoint(previews(redact=field))

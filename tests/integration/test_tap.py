"""The tap: which topics it is subscribed to, and that it takes and changes nothing of anybody else's."""

import json
import logging
import time
from typing import Any

import boto3
import pytest

from consumer.queue import Queue
from consumer.tap_queue import NotOurs, NotReady, TapQueue
from consumer.untap import remove_tap
from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import in_parallel, list_queues, list_subscriptions
from tests.support.endpoints import create_queue, create_topic, subscribe
from tests.support.tapping import TAP, Clock, keep_later, open_tap, publish_to, received, tapped

pytestmark = pytest.mark.usefixtures("account")


def test_every_topic_of_the_patterns_is_tapped_fifo_topics_too() -> None:
    arns = [create_topic(name) for name in ("orders", "orders.fifo", "payments", "internal-audit")]
    tap = open_tap("*,!internal-*")

    tap.keep()

    assert tapped() == ["orders", "orders.fifo", "payments"]
    assert tap.status.topics == ["orders", "orders.fifo", "payments"]
    for arn in arns:
        publish_to(arn, arn.rpartition(":")[2])
    assert received() == ["orders", "orders.fifo", "payments"]


def test_the_policy_of_the_queue_allows_exactly_what_the_patterns_name() -> None:
    topic = create_topic("orders-new")
    open_tap("orders-*,!*-internal").keep()

    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=TAP)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    [statement] = json.loads(attributes["Policy"])["Statement"]
    prefix = topic.rpartition(":")[0]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": attributes["QueueArn"],
        "Condition": {
            "ArnLike": {"aws:SourceArn": [f"{prefix}:orders-*"]},
            "ArnNotLike": {"aws:SourceArn": [f"{prefix}:*-internal"]},
        },
    }
    assert "RedrivePolicy" not in attributes  # nothing of the tap is ever a dead letter
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"fanout": "tap"}


def test_new_topics_are_tapped_and_deleted_ones_cost_nothing(caplog: pytest.LogCaptureFixture) -> None:
    first = create_topic("first")
    create_topic("second")
    tap, clock = open_tap(), Clock()
    tap.keep()

    boto3.client("sns").delete_topic(TopicArn=first)
    third = create_topic("third")
    caplog.set_level(logging.INFO)
    tap.keep()
    keep_later(tap, clock)

    assert tap.status.topics == ["second", "third"]
    assert tap.status.problems == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    publish_to(third, "hi")
    assert received() == ["hi"]


@pytest.mark.parametrize("recreated", [["a"], ["c"], ["b", "c"], ["a", "b", "c"]])
def test_a_topic_that_is_deleted_and_created_again_between_two_turns_is_tapped_again(
    recreated: list[str],
) -> None:
    arns = {name: create_topic(name) for name in "abc"}
    tap = open_tap()
    tap.keep()

    for name in recreated:
        boto3.client("sns").delete_topic(TopicArn=arns[name])
    for name in recreated:
        create_topic(name)
    tap.keep()

    for name, arn in arns.items():
        publish_to(arn, name)
    assert received() == ["a", "b", "c"]


def test_an_emulator_that_restarted_between_two_turns_is_tapped_again_queue_first() -> None:
    tap = open_tap()
    topic = create_topic("orders")
    tap.keep()

    sqs = sqs_client(5)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=TAP)["QueueUrl"])
    boto3.client("sns").delete_topic(TopicArn=topic)
    create_topic("orders")
    requests: list[str] = []
    for client in (tap._sns, tap.queue._sqs):
        client.meta.events.register(
            "before-send", lambda event_name, **_: requests.append(event_name.rpartition(".")[2])
        )
    tap.keep()

    assert requests.index("CreateQueue") < requests.index("Subscribe")
    publish_to(topic, "after")
    assert received() == ["after"]


def test_what_somebody_deleted_is_made_again() -> None:
    orders, payments = create_topic("orders"), create_topic("payments")
    clock = Clock()
    tap = open_tap(clock=clock)
    tap.keep()

    [lost] = list_subscriptions(sns_client(5), orders)
    boto3.client("sns").unsubscribe(SubscriptionArn=lost.arn)
    keep_later(tap, clock)
    assert tapped() == ["orders", "payments"]

    sqs = sqs_client(5)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=TAP)["QueueUrl"])
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        TapQueue(tap.queue, sqs, 30).receive(0)  # which asks for a new one
    tap.keep()

    publish_to(orders, "one")
    publish_to(payments, "two")
    assert received() == ["one", "two"]


def test_a_topic_that_leads_to_a_queue_which_is_read_is_left_out() -> None:
    orders, payments = create_topic("orders"), create_topic("payments")
    own = create_queue("own")
    subscribe(orders, own, RawMessageDelivery="true")
    subscribe(payments, own, FilterPolicy={"kind": ["refund"]})
    tap = open_tap()

    tap.keep()

    assert tapped() == ["payments"]  # of which the queue gets only a part
    assert (tap.status.topics, tap.status.left_out) == (["payments"], ["orders"])


def test_a_topic_is_untapped_once_a_queue_that_is_read_has_it_and_tapped_again_after() -> None:
    orders, own = create_topic("orders"), create_queue("own")
    clock = Clock()
    tap = open_tap(clock=clock)
    tap.keep()
    assert tapped() == ["orders"]

    subscription = subscribe(orders, own)
    keep_later(tap, clock)
    assert tapped() == []

    boto3.client("sns").unsubscribe(SubscriptionArn=subscription)
    keep_later(tap, clock)
    assert tapped() == ["orders"]


def test_a_filter_policy_that_is_set_or_removed_later_is_noticed() -> None:
    orders, own = create_topic("orders"), create_queue("own")
    subscription = subscribe(orders, own)
    clock = Clock()
    tap = open_tap(clock=clock)
    tap.keep()
    assert tapped() == []

    sns = boto3.client("sns")
    for policy, expected in (({"kind": ["refund"]}, ["orders"]), ({}, [])):
        sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=json.dumps(policy)
        )
        keep_later(tap, clock)
        assert tapped() == expected


def test_what_the_patterns_no_longer_name_is_untapped() -> None:
    create_topic("orders")
    create_topic("payments")
    open_tap("*").keep()

    open_tap("orders").keep()

    assert tapped() == ["orders"]


def test_replicas_share_a_tap_and_do_not_fight(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        create_topic(f"topic-{number}")
    clock = Clock()
    taps = [open_tap(clock=clock) for _ in range(3)]

    in_parallel(lambda tap: tap.keep(), taps)
    caplog.set_level(logging.INFO)
    for _ in range(3):
        clock.now += 12
        in_parallel(lambda tap: tap.keep(), taps)

    assert tapped() == [f"topic-{number}" for number in range(5)]
    assert [record.message for record in caplog.records if record.name.startswith("consumer")] == []
    assert [queue.name for queue in list_queues(sqs_client(5))] == [TAP]


def test_a_queue_of_the_taps_name_that_is_not_ours_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    create_topic("orders")
    create_queue(TAP)
    sqs: Any = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=TAP)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"Message": "theirs"}')
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    tap = open_tap()

    tap.keep()

    [line] = [record.__dict__["reason"] for record in caplog.records if record.levelno == logging.WARNING]
    assert f"the queue {TAP} exists, but was not created by Fanout" in line
    assert "choose another name with TAP_NAME" in line
    with pytest.raises(NotReady, match="was not created by Fanout"):
        TapQueue(tap.queue, sqs_client(5), 30).receive(0)
    with pytest.raises(NotOurs):
        remove_tap(sns_client(5), sqs_client(5), TAP)
    assert tapped() == []
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] == before
    assert received() == ["theirs"]


def test_patterns_that_match_nothing_are_said_once_and_no_more_when_they_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    create_topic("orders")
    tap = open_tap("orders,refunds-*,missing")
    caplog.set_level(logging.INFO)

    tap.keep()
    tap.keep()

    [line] = [record.__dict__["reason"] for record in caplog.records if record.levelno == logging.WARNING]
    assert line == "no topic matches refunds-*, missing (WATCH)"
    assert tap.status.problems == [line]
    create_topic("refunds-eu")
    create_topic("missing")
    tap.keep()
    assert tap.status.problems == []
    assert "tap resolved" in caplog.messages


def test_removing_the_tap_leaves_nothing_of_it_and_everything_else() -> None:
    theirs = subscribe(create_topic("orders"), create_queue("theirs"))
    create_topic("payments.fifo")
    open_tap().keep()

    assert remove_tap(sns_client(5), sqs_client(5), TAP) == 2

    assert [one.arn for one in list_subscriptions(sns_client(5))] == [theirs]
    assert [queue.name for queue in list_queues(sqs_client(5))] == ["theirs"]
    assert remove_tap(sns_client(5), sqs_client(5), TAP) == 0


def test_what_is_left_of_a_tap_without_its_queue_is_removed() -> None:
    create_topic("orders")
    open_tap().keep()
    sqs = sqs_client(5)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=TAP)["QueueUrl"])

    assert remove_tap(sns_client(5), sqs, TAP) == 1

    assert tapped() == []


def test_a_tap_that_was_left_is_taken_over_with_what_it_holds() -> None:
    orders = create_topic("orders")
    open_tap().keep()
    publish_to(orders, "in between")

    tap = open_tap()
    tap.keep()

    [delivery] = TapQueue(tap.queue, sqs_client(5), 30).receive(5)
    assert delivery.message.body == "in between"
    assert delivery.queue == TAP


def test_a_hundred_topics_with_three_hundred_subscriptions_are_tapped_within_five_seconds() -> None:
    queues = [create_queue(f"queue-{number}") for number in range(3)]
    topics = in_parallel(create_topic, [f"topic-{number:03}" for number in range(100)])
    in_parallel(lambda pair: subscribe(*pair), [(topic, queue) for topic in topics for queue in queues])
    tap = open_tap()

    began = time.monotonic()
    tap.keep()

    assert time.monotonic() - began < 5
    assert len(tapped()) == len(tap.status.topics) == 100


@pytest.mark.parametrize(("on_aws", "most"), [(False, 40), (True, 8)])
def test_a_tap_at_rest_asks_little(on_aws: bool, most: int) -> None:
    in_parallel(create_topic, [f"topic-{number:03}" for number in range(30)])
    clock = Clock()
    tap = open_tap(clock=clock)
    tap._is_aws = on_aws
    tap.keep()
    counted: list[str] = []
    for client in (tap._sns, tap.queue._sqs):
        client.meta.events.register("before-send", lambda event_name, **_: counted.append(event_name))

    seconds = 30 if on_aws else 6
    for _ in range(60 // seconds):
        clock.now += seconds
        assert tap.keep() == seconds

    assert len(counted) <= most


def test_messages_in_queues_of_others_stay_as_they_are() -> None:
    orders, theirs = create_topic("orders"), create_queue("theirs")
    subscribe(orders, theirs, RawMessageDelivery="true")
    tap = open_tap()
    tap.keep()

    publish_to(orders, "for both", MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}})

    assert received() == ["for both"]
    [delivery] = Queue(sqs_client(5), "theirs", 30).receive(5)
    assert (delivery.message.body, delivery.receive_count) == ("for both", 1)
    assert delivery.attributes == {"n": "1"}

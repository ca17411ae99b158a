"""What SNS and SQS say of a message beside its body is stored with it, on each emulator."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from consumer.queue import Queue
from pipeline.aws import sqs_client
from pipeline.message import Delivery
from pipeline.store.reader import StoredMessage
from tests.support.dead_letters import fail
from tests.support.emulators import Names, subscribed
from tests.support.examples import raw_arrival
from tests.support.stores import FailureRecords, Store

ATTRIBUTES: dict[str, Any] = {
    "tenant": {"DataType": "String", "StringValue": "acme"},
    "priority": {"DataType": "Number", "StringValue": "5.0"},
    "regions": {"DataType": "String.Array", "StringValue": '["eu", "us"]'},
}
TYPES = {name: value["DataType"] for name, value in ATTRIBUTES.items()}
TEXTS = {name: value["StringValue"] for name, value in ATTRIBUTES.items()}


def received(queue: str, topic: str | None = None) -> Delivery:
    [delivery] = Queue(sqs_client(10), queue, 30, topic).receive(5)
    return delivery


def stored(store: Store, delivery: Delivery) -> StoredMessage:
    [seq] = store.add([delivery])
    assert isinstance(seq, int)
    found = store.get(seq)
    assert found is not None
    return found


@pytest.fixture
def suffix() -> str:
    return uuid.uuid4().hex[:12]


def test_an_envelope_tells_topic_subject_types_and_the_id_of_sns(
    names: Names, suffix: str, store: Store
) -> None:
    arn = subscribed(names.topic, f"enveloped-{suffix}", raw=False)
    sns: Any = boto3.client("sns")
    answer = sns.publish(
        TopicArn=arn, Message='{"order": 42}', Subject="An order", MessageAttributes=ATTRIBUTES
    )

    message = stored(store, received(f"enveloped-{suffix}", topic="told"))

    assert (message.topic, message.topic_arn, message.subject) == (names.topic, arn, "An order")
    assert (message.attributes, message.attribute_types) == (TEXTS, TYPES)
    assert (message.sns_message_id, message.id) == (answer["MessageId"], answer["MessageId"])
    assert (message.source, message.body) == (f"/sns/{names.topic}", '{"order": 42}')
    assert message.queue == f"enveloped-{suffix}"


def test_with_raw_delivery_the_topic_is_the_one_that_the_consumer_is_told(names: Names, store: Store) -> None:
    sns: Any = boto3.client("sns")
    arn = sns.create_topic(Name=names.topic)["TopicArn"]
    sns.publish(TopicArn=arn, Message="hi", Subject="lost", MessageAttributes=ATTRIBUTES)
    told = stored(store, received(names.queue, topic=names.topic))
    sns.publish(TopicArn=arn, Message="hi")
    untold = stored(store, received(names.queue))

    assert (told.topic, untold.topic) == (names.topic, None)
    assert (told.attributes, told.attribute_types) == (TEXTS, TYPES)
    assert (told.subject, told.sns_message_id, told.topic_arn) == (None, None, None)


def test_binary_attributes_keep_their_bytes(create: Callable[..., Names], store: Store) -> None:
    """MiniStack loses the value of a Binary attribute."""
    names = create("localstack")
    enveloped = f"enveloped-{names.queue}"
    arn = subscribed(names.topic, enveloped, raw=False)
    sns: Any = boto3.client("sns")
    binary = {"signature": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    sns.publish(TopicArn=arn, Message="hi", MessageAttributes=binary)

    for queue in (names.queue, enveloped):
        message = stored(store, received(queue))
        assert (message.attributes, message.attribute_types) == (
            {"signature": "AP8="},
            {"signature": "Binary"},
        )


@pytest.mark.parametrize("raw", [True, False])
def test_a_fifo_queue_tells_group_deduplication_id_and_sequence_number(
    names: Names, emulator: str, suffix: str, store: Store, raw: bool
) -> None:
    """MiniStack gives what comes from a topic no sequence number."""
    arn = subscribed(f"{names.topic}.fifo", f"orders-{suffix}.fifo", raw=raw)
    sns: Any = boto3.client("sns")
    sns.publish(TopicArn=arn, Message="hi", MessageGroupId="A-1", MessageDeduplicationId="once")

    message = stored(store, received(f"orders-{suffix}.fifo"))

    assert (message.group_id, message.deduplication_id) == ("A-1", "once")
    assert (message.sequence_number or "").isdecimal() == (emulator == "localstack")


def test_a_failure_keeps_how_its_message_was_published(store: Store) -> None:
    envelope = {
        "Type": "Notification",
        "MessageId": "sns-id",
        "TopicArn": "arn:aws:sns:eu-west-1:000000000000:orders.fifo",
        "Subject": "NUL \0 in it",
        "Message": "hi",
        "SequenceNumber": "10000000000000003000",
        "MessageAttributes": {"priority": {"Type": "Number", "Value": "5"}},
    }
    delivery = raw_arrival(json.dumps(envelope))
    fail(store, delivery)

    letter = FailureRecords(store).dead_letter(delivery.message_id)

    assert letter is not None
    assert (letter.topic, letter.subject) == ("orders.fifo", "NUL \\u0000 in it")
    assert (letter.attribute_types, letter.sequence_number) == (
        {"priority": "Number"},
        "10000000000000003000",
    )
    assert (letter.sns_message_id, letter.group_id) == ("sns-id", None)

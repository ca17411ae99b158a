"""What notifications of AWS services say about themselves."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.formats import MAX_VALUES_READ, Recognised, recognise
from pipeline.message import TEXT, Message, message_from_body
from pipeline.search.terms import index_terms
from tests.support.samples import Sample, notification, samples

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SAMPLES = {sample.name: sample for sample in samples(NOW)}


def taken(body: str) -> Message:
    return message_from_body(body, text_id="sqs-id", text_source="/sqs/queue", published=NOW)


def read(name: str) -> Recognised:
    found = recognise(json.loads(SAMPLES[name].body))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "type_", "source", "title"),
    [
        (
            "S3 notification",
            "s3:ObjectCreated:Put",
            "arn:aws:s3:::photos-of-cats",
            "S3 ObjectCreated: photos/cat 1.jpg",
        ),
        (
            "S3 notification of several records",
            "s3:ObjectRemoved:Delete",
            "arn:aws:s3:::photos-of-cats",
            "S3 ObjectRemoved: old/0.jpg and 2 more",
        ),
        ("S3 test event", "s3:TestEvent", "arn:aws:s3:::photos-of-cats", "S3 TestEvent: photos-of-cats"),
        ("EventBridge event", "Order Placed", "com.acme.shop", "Order Placed: A-1042, 59.9, EUR"),
        (
            "EventBridge event of EC2",
            "EC2 Instance State-change Notification",
            "aws.ec2",
            "EC2 Instance State-change Notification: i-0abcd1111111 running",
        ),
        ("EventBridge event of S3", "Object Created", "aws.s3", "S3 Object Created: photos/dog 2.jpg"),
        (
            "EventBridge event of CodePipeline",
            "CodePipeline Pipeline Execution State Change",
            "aws.codepipeline",
            "CodePipeline Pipeline Execution State Change: shop-release FAILED",
        ),
        (
            "CloudWatch alarm",
            "CloudWatch Alarm State Change",
            "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:queue too deep",
            "Alarm: queue too deep",
        ),
        (
            "CloudWatch alarm that is over",
            "CloudWatch Alarm State Change",
            "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:queue too deep",
            "OK: queue too deep",
        ),
        (
            "SES bounce",
            "ses:Bounce",
            "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
            "SES Bounce: jane@example.com",
        ),
        (
            "SES delivery",
            "ses:Delivery",
            "arn:aws:ses:eu-central-1:123456789012:identity/example.com",
            "SES Delivery: jane@example.com",
        ),
        (
            "CodePipeline approval",
            "codepipeline:approval",
            "shop-release",
            "Approval needed: shop-release, Approve",
        ),
        (
            "Auto Scaling notification",
            "autoscaling:EC2_INSTANCE_LAUNCH",
            "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:shop",
            "Auto Scaling EC2_INSTANCE_LAUNCH: shop",
        ),
    ],
)
def test_a_notification_says_what_happened_to_what(name: str, type_: str, source: str, title: str) -> None:
    found = read(name)

    assert (found.type, found.source, found.title) == (type_, source, title)
    assert taken(SAMPLES[name].body).title == title


def test_an_alarm_that_comes_by_eventbridge_has_the_same_type_and_title() -> None:
    event = json.loads(SAMPLES["EventBridge event"].body)
    detail = {"alarmName": "queue too deep", "state": {"value": "ALARM"}}
    event |= {"detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch", "detail": detail}

    message = taken(json.dumps(event))

    assert (message.type, message.title) == ("CloudWatch Alarm State Change", "Alarm: queue too deep")


@pytest.mark.parametrize(
    "name",
    ["S3 notification", "EventBridge event", "CloudWatch alarm", "SES bounce", "Auto Scaling notification"],
)
def test_a_notification_tells_when_it_happened(name: str) -> None:
    time = read(name).time

    assert time is not None
    assert abs(time - NOW) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "name", ["GitHub webhook", "Stripe webhook", "XML", "protobuf in base64", "plain words"]
)
def test_what_has_no_known_format_stays_a_text(name: str) -> None:
    message = taken(SAMPLES[name].body)

    assert (message.type, message.id, message.title) == (TEXT, "sqs-id", None)


# ---- identity


def test_two_records_of_one_request_to_s3_are_two_messages() -> None:
    body = json.loads(SAMPLES["S3 notification of several records"].body)
    request = body["Records"][0]["responseElements"]
    ids = {
        taken(json.dumps({"Records": [{**one, "responseElements": request}]})).id for one in body["Records"]
    }

    assert len(ids) == 3


def test_a_replayed_event_is_not_the_event_that_it_repeats() -> None:
    event = json.loads(SAMPLES["EventBridge event"].body)

    first, again = taken(json.dumps(event)), taken(json.dumps({**event, "replay-name": "monday"}))

    assert (first.id, again.id) == (event["id"], f"{event['id']}/monday")


@pytest.mark.parametrize(
    "name", ["S3 notification of several records", "SES bounce", "Auto Scaling notification"]
)
def test_what_promises_no_id_for_each_event_keeps_that_of_sqs(name: str) -> None:
    assert taken(SAMPLES[name].body).id == "sqs-id"


# ---- hostile documents


def variants(document: Any) -> list[Any]:
    """Return the document with each of its members, at any depth, replaced by something else."""
    wrong: list[Any] = [None, 5, "", "\ud800", [], {}, [None], {"": None}]
    if isinstance(document, dict):
        items = [(name, variants(value)) for name, value in document.items()]
        return wrong + [{**document, name: one} for name, values in items for one in values]
    if isinstance(document, list):
        return wrong + [[*document[:at], one] for at, value in enumerate(document) for one in variants(value)]
    return wrong


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES.values() if len(one.body) < 10_000], ids=lambda one: one.name
)
def test_a_document_with_anything_in_the_place_of_a_member_becomes_a_message(sample: Sample) -> None:
    try:
        document = json.loads(sample.body)
    except ValueError:
        return
    for variant in variants(document):
        message = taken(json.dumps(variant))

        assert all(
            isinstance(one, str)
            for one in (message.source, message.id, message.type, message.title or message.preview)
        )
        assert message.source
        assert message.id
        assert index_terms(message, {}, "queue")


def test_the_title_of_an_event_reads_only_its_beginning() -> None:
    event = json.loads(SAMPLES["EventBridge event"].body)
    event["detail"] = {"a": [[[]] * 10] * MAX_VALUES_READ, "b": "too late"}

    assert taken(json.dumps(event)).title == "Order Placed"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_is_the_same_message_in_the_envelope_of_sns(sample: Sample) -> None:
    attributes = {name: str(value) for name, value in sample.attributes.items() if isinstance(value, str)}
    plain = replace(sample, attributes=attributes, subject=None)

    raw = message_from_body(
        sample.body, text_id="sqs-id", text_source="/sqs/queue", published=NOW, attributes=attributes
    )
    unwrapped = taken(notification(plain, NOW))

    assert (unwrapped.type, unwrapped.title, unwrapped.data) == (raw.type, raw.title, raw.data)
    assert (unwrapped.body, unwrapped.attributes) == (raw.body, raw.attributes)

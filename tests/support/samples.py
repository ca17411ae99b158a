"""What really flows through SNS and SQS: a sample of each common format, for tests and for `make samples`.

Each is written after the documentation of its format, which `page` names. Ids and times are new in each
collection, so that it can be published again and again.
"""

import base64
import gzip
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.emulators import aws_environment
from pipeline.aws import Topic, sns_client

if TYPE_CHECKING:
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

Json = dict[str, Any]

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ORDER: Json = {
    "order": {"id": "A-1042", "total": 59.9, "currency": "EUR"},
    "customer": {"id": 9007199254740993, "name": "Zoë Ångström"},
    "items": [{"sku": "LAMP-7", "quantity": 2}, {"sku": "BULB-1", "quantity": 4}],
}
# Field 1: the text "A-1042", field 2: the number 150 ("Encoding", Protocol Buffers).
PROTOBUF = b"\x0a\x06A-1042\x10\x96\x01"
# The first bytes of every PNG, which are no text ("PNG file signature", PNG specification).
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(24))


@dataclass(frozen=True)
class Sample:
    """A message to publish: `body` and `attributes` (bytes are sent as Binary, numbers as Number)."""

    name: str
    page: str
    body: str
    attributes: Mapping[str, str | int | bytes] = field(default_factory=dict)
    subject: str | None = None


def samples(now: datetime | None = None) -> list[Sample]:
    """Return the collection, as of now."""
    now = now or datetime.now(UTC)
    return [
        *cloudevents(now),
        *s3_notifications(now),
        *eventbridge_events(now),
        *alarms(now),
        *other_aws_notifications(now),
        *webhooks(now),
        *plain_bodies(),
    ]


# ---- CloudEvents


def cloudevents(now: datetime) -> list[Sample]:
    """Return CloudEvents in every mode."""
    order = _event("shop.order", now, subject="orders/A-1042", datacontenttype="application/json", data=ORDER)
    long_ago = now - timedelta(days=3151)
    return [
        Sample("CloudEvent", "CloudEvents, JSON Event Format", _json(order), {"tenant": "acme"}),
        Sample(
            "CloudEvent with a text",
            "CloudEvents, JSON Event Format",
            _json(_event("shop.note", now, data={"text": "two lamps for Zoë", "color": "#7cc4ff"})),
        ),
        Sample(
            "CloudEvent of a replay",
            "CloudEvents, JSON Event Format",
            _json(_event("shop.order", long_ago, data={"text": "an old order, imported again"})),
        ),
        Sample(
            "CloudEvent with bytes",
            "CloudEvents, JSON Event Format, 3.1. Handling of data",
            _json(_event("shop.photo", now, datacontenttype="image/png", data_base64=_base64(PNG))),
        ),
        Sample(
            "CloudEvent with a text in base64",
            "CloudEvents, JSON Event Format, 3.1. Handling of data",
            _json(
                _event(
                    "shop.invoice", now, datacontenttype="text/plain", data_base64=_base64("Straße".encode())
                )
            ),
        ),
        Sample(
            "batch of CloudEvents",
            "CloudEvents, JSON Event Format, 4. JSON Batch Format",
            _json([_event("shop.order", now, data={"order": number}) for number in range(3)]),
        ),
        Sample(
            "CloudEvent in binary mode",
            "CloudEvents, HTTP Protocol Binding, 3.1. Binary Content Mode",
            _json(ORDER),
            {**_binary_mode("ce-", "shop.order", now), "Content-Type": "application/json"},
        ),
        Sample(
            "CloudEvent in binary mode with bytes",
            "CloudEvents, Amazon SNS Transport Binding (draft)",
            _base64(PROTOBUF),
            {
                **_binary_mode("ce_", "shop.order.packed", now),
                "ce_datacontenttype": "application/protobuf",
                "ce_datacontentencoding": "base64",
            },
        ),
    ]


def _event(type: str, time: datetime, **members: Any) -> Json:  # noqa: A002 - CloudEvents' word
    required = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/shop/checkout", "type": type}
    return {**required, "time": _rfc3339(time), **members}


def _binary_mode(prefix: str, type: str, time: datetime) -> dict[str, str]:  # noqa: A002 - CloudEvents' word
    return {f"{prefix}{name}": value for name, value in _event(type, time).items()}


# ---- S3


def s3_notifications(now: datetime) -> list[Sample]:
    """Return notifications of a bucket."""
    page = "Amazon S3, Event message structure"
    created = _s3_record(now, "ObjectCreated:Put", "photos/cat+1.jpg")
    deleted = [_s3_record(now, "ObjectRemoved:Delete", f"old/{number}.jpg") for number in range(3)]
    test = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": _rfc3339(now),
        "Bucket": "photos-of-cats",
        "RequestId": uuid.uuid4().hex[:16].upper(),
        "HostId": _base64(uuid.uuid4().bytes * 3),
    }
    subject = "Amazon S3 Notification"
    return [
        Sample("S3 notification", page, _json({"Records": [created]}), subject=subject),
        Sample("S3 notification of several records", page, _json({"Records": deleted}), subject=subject),
        Sample("S3 test event", page, _json(test), subject=subject),
    ]


def _s3_record(now: datetime, name: str, key: str) -> Json:
    """Return one record; the key is encoded as in a URL."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": _milliseconds(now),
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {
            "x-amz-request-id": uuid.uuid4().hex[:16].upper(),
            "x-amz-id-2": _base64(uuid.uuid4().bytes * 3),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": "photos-of-cats",
                "ownerIdentity": {"principalId": "A3EXAMPLE"},
                "arn": "arn:aws:s3:::photos-of-cats",
            },
            "object": {
                "key": key,
                "size": 48_213,
                "eTag": uuid.uuid4().hex,
                "sequencer": f"{int(now.timestamp()):010X}{uuid.uuid4().hex[:8].upper()}",
            },
        },
    }


# ---- EventBridge


def eventbridge_events(now: datetime) -> list[Sample]:
    """Return events of one's own and of AWS, as a rule with SNS as its target sends them."""
    page = "Amazon EventBridge, Events"
    return [
        Sample("EventBridge event", page, _json(_bus_event(now, "com.acme.shop", "Order Placed", ORDER))),
        Sample(
            "EventBridge event of EC2",
            page,
            _json(
                _bus_event(
                    now,
                    "aws.ec2",
                    "EC2 Instance State-change Notification",
                    {"instance-id": "i-0abcd1111111", "state": "running"},
                    [f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0abcd1111111"],
                )
            ),
        ),
        Sample(
            "EventBridge event of S3",
            "Amazon S3, EventBridge event message structure",
            _json(
                _bus_event(
                    now,
                    "aws.s3",
                    "Object Created",
                    {
                        "version": "0",
                        "bucket": {"name": "photos-of-cats"},
                        "object": {"key": "photos/dog 2.jpg", "size": 5, "sequencer": "00617F08299329D189"},
                        "request-id": uuid.uuid4().hex[:16].upper(),
                        "requester": ACCOUNT,
                        "reason": "PutObject",
                    },
                    ["arn:aws:s3:::photos-of-cats"],
                )
            ),
        ),
        Sample(
            "EventBridge event of CodePipeline",
            "AWS CodePipeline, Monitoring CodePipeline events",
            _json(
                _bus_event(
                    now,
                    "aws.codepipeline",
                    "CodePipeline Pipeline Execution State Change",
                    {
                        "pipeline": "shop-release",
                        "execution-id": str(uuid.uuid4()),
                        "state": "FAILED",
                        "version": 3.0,
                    },
                    [f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:shop-release"],
                )
            ),
        ),
    ]


def _bus_event(
    now: datetime, source: str, detail_type: str, detail: Json, resources: list[str] | None = None
) -> Json:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": resources or [],
        "detail": detail,
    }


# ---- CloudWatch


def alarms(now: datetime) -> list[Sample]:
    """Return what an alarm sends to its topic when it changes its state."""
    page = "Amazon CloudWatch, Notifying users on alarm changes"
    return [
        Sample("CloudWatch alarm", page, _json(_alarm(now, "ALARM", "OK")), subject="ALARM: queue too deep"),
        Sample(
            "CloudWatch alarm that is over",
            page,
            _json(_alarm(now + timedelta(seconds=60), "OK", "ALARM")),
            subject="OK: queue too deep",
        ),
    ]


def _alarm(now: datetime, state: str, before: str) -> Json:
    return {
        "AlarmName": "queue too deep",
        "AlarmDescription": "More than 1,000 orders wait.",
        "AWSAccountId": ACCOUNT,
        "AlarmConfigurationUpdatedTimestamp": "2026-01-02T09:00:00.000+0000",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint [1834.0] was greater than the threshold (1000.0).",
        "StateChangeTime": _milliseconds(now).replace("Z", "+0000"),
        "Region": "EU (Frankfurt)",
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:queue too deep",
        "OldStateValue": before,
        "OKActions": [],
        "AlarmActions": [f"arn:aws:sns:{REGION}:{ACCOUNT}:broadcasts"],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Namespace": "AWS/SQS",
            "StatisticType": "Statistic",
            "Statistic": "MAXIMUM",
            "Dimensions": [{"name": "QueueName", "value": "orders"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1000.0,
            "TreatMissingData": "missing",
        },
    }


# ---- other notifications of AWS


def other_aws_notifications(now: datetime) -> list[Sample]:
    """Return what further services of AWS send to a topic."""
    mail = {
        "timestamp": _milliseconds(now),
        "messageId": f"{uuid.uuid4()}-000000",
        "source": "shop@example.com",
        "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com",
        "sendingAccountId": ACCOUNT,
        "destination": ["jane@example.com"],
    }
    bounce = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "jane@example.com", "status": "5.1.1", "action": "failed"}],
        "timestamp": _milliseconds(now),
        "feedbackId": f"{uuid.uuid4()}-000000",
    }
    approval = {
        "region": REGION,
        "consoleLink": f"https://console.aws.amazon.com/codepipeline/home?region={REGION}",
        "approval": {
            "pipelineName": "shop-release",
            "stageName": "Production",
            "actionName": "Approve",
            "token": str(uuid.uuid4()),
            "expires": f"{now + timedelta(days=7):%Y-%m-%dT%H:%MZ}",
            "externalEntityLink": None,
            "approvalReviewLink": "https://console.aws.amazon.com/codepipeline/home",
            "customData": "Release 1.4.0",
        },
    }
    launch = {
        "Progress": 50,
        "AccountId": ACCOUNT,
        "Description": "Launching a new EC2 instance: i-0abcd1111111",
        "RequestId": str(uuid.uuid4()),
        "EndTime": _milliseconds(now),
        "AutoScalingGroupARN": f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:shop",
        "ActivityId": str(uuid.uuid4()),
        "StartTime": _milliseconds(now),
        "Service": "AWS Auto Scaling",
        "Time": _milliseconds(now),
        "EC2InstanceId": "i-0abcd1111111",
        "StatusCode": "InProgress",
        "StatusMessage": "",
        "Details": {"Subnet ID": "subnet-12345678", "Availability Zone": f"{REGION}a"},
        "AutoScalingGroupName": "shop",
        "Cause": "At 12:00:00Z a user request increased the capacity from 1 to 2.",
        "Event": "autoscaling:EC2_INSTANCE_LAUNCH",
    }
    stack = (
        f"StackId='arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/shop/{uuid.uuid4()}'\n"
        f"Timestamp='{_milliseconds(now)}'\n"
        f"EventId='{uuid.uuid4()}'\n"
        "LogicalResourceId='shop'\n"
        "ResourceStatus='CREATE_COMPLETE'\n"
        "ResourceType='AWS::CloudFormation::Stack'\n"
    )
    return [
        Sample(
            "SES bounce",
            "Amazon SES, Amazon SNS notification contents for Amazon SES",
            _json({"notificationType": "Bounce", "bounce": bounce, "mail": mail}),
        ),
        Sample(
            "SES delivery",
            "Amazon SES, Contents of event data that Amazon SES publishes to Amazon SNS",
            _json(
                {"eventType": "Delivery", "mail": mail, "delivery": {"smtpResponse": "250 2.6.0", "tags": {}}}
            ),
        ),
        Sample(
            "CodePipeline approval",
            "AWS CodePipeline, JSON data format for manual approval notifications",
            _json(approval),
            subject="APPROVAL NEEDED: AWS CodePipeline shop-release for action Approve",
        ),
        Sample(
            "Auto Scaling notification",
            "Amazon EC2 Auto Scaling, Amazon SNS notification options",
            _json(launch),
            subject='Auto Scaling: launch for group "shop"',
        ),
        Sample(
            "CloudFormation notification",
            "AWS CloudFormation, Setting stack options: notification options",
            stack,
            subject="AWS CloudFormation Notification",
        ),
    ]


# ---- webhooks that are forwarded to a topic


def webhooks(now: datetime) -> list[Sample]:
    """Return bodies of webhooks."""
    pull_request = {
        "action": "opened",
        "number": 17,
        "pull_request": {
            "html_url": "https://github.com/acme/shop/pull/17",
            "title": "Sell lamps",
            "user": {"login": "zoe"},
            "draft": False,
        },
        "repository": {"full_name": "acme/shop", "private": True},
        "sender": {"login": "zoe"},
    }
    payment = {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": int(now.timestamp()),
        "data": {"object": {"id": "pi_3Example", "object": "payment_intent", "amount": 5990}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": str(uuid.uuid4())},
        "type": "payment_intent.succeeded",
    }
    return [
        Sample(
            "GitHub webhook",
            "GitHub, Webhook events and payloads: pull_request",
            _json(pull_request),
            {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": str(uuid.uuid4())},
        ),
        Sample("Stripe webhook", "Stripe, API Reference: The Event object", _json(payment)),
    ]


# ---- bodies without an envelope


def plain_bodies() -> list[Sample]:
    """Return texts, documents and packed bytes."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<order id="A-1042"><sku quantity="2">LAMP-7</sku></order>\n'
    )
    packed = gzip.compress(_json(ORDER).encode(), mtime=0)
    page = "Amazon SNS, API Reference: Publish"
    return [
        Sample("XML", "W3C, Extensible Markup Language 1.0", xml),
        Sample("gzip in base64", "RFC 1952, RFC 4648", _base64(packed), {"content-encoding": "gzip"}),
        Sample("protobuf in base64", "Protocol Buffers, Encoding", _base64(PROTOBUF)),
        Sample("plain words", page, "The lamp shop is open."),
        Sample("words of several scripts", page, "Zoë bought 電球 and مصباح: 59,90\u00a0€ \U0001f4a1"),
        Sample(
            "typed attributes",
            "Amazon SNS, Message attributes",
            _json(ORDER),
            {"tenant": "acme", "priority": 5, "trace": b"\x00\x01\xfe\xff"},
        ),
        Sample("250 KB of nested JSON", page, large_json(250_000)),
    ]


def large_json(size: int) -> str:
    """Return a nested document of just under `size` bytes."""
    row = {"sku": "LAMP-7", "price": {"net": 25.17, "tax": {"rate": 0.19, "parts": [1, 2, [3, [4, [5]]]]}}}
    count = size // (len(_json({**row, "row": 10_000})) + 1)
    return _json([{**row, "row": 10_000 + number} for number in range(count)])


def notification(sample: Sample, now: datetime) -> str:
    """Return the envelope in which SNS delivers it without raw delivery ("Amazon SNS message formats")."""
    attributes = {name: _in_envelope(value) for name, value in sample.attributes.items()}
    envelope = {
        "Type": "Notification",
        "MessageId": str(uuid.uuid4()),
        "TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:broadcasts",
        **({"Subject": sample.subject} if sample.subject else {}),
        "Message": sample.body,
        "Timestamp": _milliseconds(now),
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService.pem",
        "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe",
        **({"MessageAttributes": attributes} if attributes else {}),
    }
    return _json(envelope)


def _in_envelope(value: str | int | bytes) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"Type": "Binary", "Value": _base64(value)}
    return {"Type": "String" if isinstance(value, str) else "Number", "Value": str(value)}


def _as_attribute(value: str | int | bytes) -> "MessageAttributeValueTypeDef":
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": value}
    return {"DataType": "String" if isinstance(value, str) else "Number", "StringValue": str(value)}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _rfc3339(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _milliseconds(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(topic_name: str, collection: Iterable[Sample]) -> None:
    """Publish these to the topic. Raises what boto3 raises."""
    sns = sns_client()
    arn = Topic(sns, topic_name).arn
    for sample in collection:
        attributes = {name: _as_attribute(value) for name, value in sample.attributes.items()}
        subject: Any = {"Subject": sample.subject} if sample.subject else {}
        sns.publish(TopicArn=arn, Message=sample.body, MessageAttributes=attributes, **subject)


def main() -> None:
    """Publish to the emulator of `make run`, or to where AWS_ENDPOINT_URL leads."""
    for name, value in aws_environment(int(os.environ.get("AWS_PORT", "4566"))).items():
        os.environ.setdefault(name, value)
    collection = samples()
    publish(os.environ.get("TOPIC_NAME", "broadcasts"), collection)
    for sample in collection:
        print(f"{len(sample.body.encode()):>8,} B  {sample.name}")


if __name__ == "__main__":
    main()

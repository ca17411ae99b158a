"""What is published and what arrives, as messages."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time

import pytest

from pipeline.envelope import UNKNOWN, Publication
from pipeline.json_text import MAX_DEPTH, read_json
from pipeline.message import (
    BATCH,
    GREETING,
    NO_ATTRIBUTES,
    TEXT,
    Message,
    NotACloudEvent,
    has_own_identity,
    message_from_body,
    message_from_event,
    new_message,
    read_stored,
)

SENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def taken(body: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> Message:
    return message_from_body(
        body, text_id="sqs-id", text_source="/sqs/queue", published=SENT, attributes=attributes
    )


def shown(message: Message) -> str:
    return message.title or message.preview


def test_a_new_message_is_a_cloudevent_with_a_time_in_microseconds() -> None:
    message = new_message("/producer/host", GREETING, {"text": "Hello world"})

    event = json.loads(message.body)
    assert event["specversion"] == "1.0"
    assert (event["id"], event["source"], event["type"]) == (message.id, "/producer/host", GREETING)
    assert event["datacontenttype"] == "application/json"
    assert event["time"].endswith("Z")
    assert len(event["time"]) == len("2026-01-31T12:00:00.000000Z")
    assert abs(message.time - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_message_survives_the_way_through_its_body() -> None:
    message = new_message("/s", "t", {"text": "ünï", "sequence": 7, "color": "#7cc4ff"})

    again = taken(message.body)

    assert again == replace(message, time=SENT)
    assert again.event_time == message.time
    assert (again.preview, again.sequence, again.color) == ("ünï", 7, "#7cc4ff")


def test_text_takes_its_identity_from_the_queue() -> None:
    message = taken("hi")

    assert (message.source, message.id, message.type) == ("/sqs/queue", "sqs-id", TEXT)
    assert (message.time, message.preview, message.data) == (SENT, "hi", "hi")


def test_json_that_is_no_cloudevent_is_kept_as_it_is() -> None:
    message = taken('{"order": 12345678901234567890}')

    assert message.type == TEXT
    assert message.data == {"order": 12345678901234567890}
    assert message.body == '{"order": 12345678901234567890}'


@pytest.mark.parametrize("inner", ["hi", new_message("/s", "t", {"text": "hi"}).body])
def test_an_sns_notification_is_unwrapped(inner: str) -> None:
    envelope = {
        "Type": "Notification",
        "MessageId": "sns-id",
        "TopicArn": "arn:aws:sns:x:y:z",
        "Message": inner,
    }

    message = taken(json.dumps(envelope))

    assert message.preview == "hi"
    assert message.body == inner
    assert message.id == ("sns-id" if inner == "hi" else json.loads(inner)["id"])


def test_a_notification_cannot_claim_the_id_of_a_text_on_the_queue() -> None:
    forged = {"Type": "Notification", "MessageId": "sqs-id", "TopicArn": "arn:aws:sns:x:y:z", "Message": "hi"}

    assert taken(json.dumps(forged)).source == "/sns/z"
    assert taken(json.dumps(forged)).identity != taken("hi").identity


@pytest.mark.parametrize("more", [{"secret": "kept"}, {"TopicArn": 1}, {"Message": {"text": "hi"}}])
def test_a_document_that_is_more_or_less_than_a_notification_is_kept_whole(more: dict[str, object]) -> None:
    document = {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:x:z", "Message": "hi"} | more

    assert taken(json.dumps(document)).body == json.dumps(document)


ARRAY, OBJECT = ("[", "]"), ('{"a":', "}")


def nested(depth: int, signs: tuple[str, str]) -> str:
    return signs[0] * depth + '"a ] in \\" a string"' + signs[1] * depth


@pytest.mark.parametrize("signs", [ARRAY, OBJECT])
@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH])
def test_json_is_read_down_to_a_depth_that_every_parser_reads(depth: int, signs: tuple[str, str]) -> None:
    assert read_json(nested(depth, signs)) == json.loads(nested(depth, signs))


@pytest.mark.parametrize("signs", [ARRAY, OBJECT])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 980, 1_000, 9_995, 10_000, 170_000])
def test_what_nests_deeper_is_read_as_its_text(depth: int, signs: tuple[str, str]) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "data": "DATA"}
    body = json.dumps(event).replace('"DATA"', nested(depth, signs))

    message = taken(body)

    assert (message.id, message.body, message.preview[:150]) == ("i", body, (signs[0] * depth)[:150])
    levels, value = 1, message.data  # the event itself is the first
    while not isinstance(value, str):
        levels, value = levels + 1, value["a"] if isinstance(value, dict) else value[0]
    assert levels == MAX_DEPTH
    assert value == nested(depth - MAX_DEPTH + 1, signs)
    assert read_stored(body, {}).data == message.data


@pytest.mark.parametrize(
    "text", ["[" * 10_000, "[" * 10_000 + "]" * 9_999, "]" * 500 + "[" * 600, '["' * 5_000]
)
def test_what_is_cut_off_is_no_json_however_deep(text: str) -> None:
    assert read_json(text) is None
    assert taken(text).data == text


def test_numbers_that_no_parser_holds_are_read_as_their_text() -> None:
    digits = "9" * 5_000

    assert read_json(f"[{digits}, 1e400, -1e400, 1.5, 7]") == [digits, "1e400", "-1e400", 1.5, 7]


@pytest.mark.parametrize(
    "piece", ["[", "{", '"', '\\"', '["', '[{"a":"\\"', "[]", '{"a":"b"},', "[[],", '[" ]'], ids=repr
)
def test_no_text_takes_long_to_read(piece: str) -> None:
    text = "[" * 300 + piece * (1_048_576 // len(piece))

    began = process_time()
    read_json(text)

    assert process_time() - began < 3


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_what_a_cloudevent_must_have_is_named_when_it_is_missing(missing: str) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t"}
    del event[missing]

    with pytest.raises(NotACloudEvent, match=missing):
        message_from_event(event, SENT)


@pytest.mark.parametrize("time", [None, 5, "yesterday", "2026-01-31T12:00:00", "0001-01-01T00:00:00+14:00"])
def test_an_event_time_that_is_none_is_left_out(time: object) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "time": time}

    assert message_from_event(event, SENT).event_time is None


@pytest.mark.parametrize("time", ["2026-01-31T13:30:00.5+01:30", "2026-01-31T12:00:00.500000Z"])
def test_times_are_taken_in_utc(time: str) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "time": time}

    assert message_from_event(event, SENT).event_time == SENT + timedelta(seconds=0.5)


def test_source_and_id_together_are_the_identity() -> None:
    def identity(source: str, id: str) -> bytes:  # noqa: A002 - CloudEvents' word
        return Message(source, id, "t", SENT, "", None).identity

    assert identity("a", "b") == identity("a", "b")
    assert identity("a", "bc") != identity("ab", "c")
    assert identity("a", "b") != identity("a", "c")


@pytest.mark.parametrize(
    ("data", "color", "sequence"),
    [
        ({"color": "red", "sequence": True}, None, None),
        ({"color": "#7cc4ff;x", "sequence": 2**63}, None, None),
        ({"color": "#7CC4FF", "sequence": -5}, "#7CC4FF", -5),
        ([1], None, None),
    ],
)
def test_color_and_sequence_are_only_taken_where_they_are_that(
    data: object, color: str | None, sequence: int | None
) -> None:
    message = Message("s", "i", "t", SENT, "", data)

    assert (message.color, message.sequence) == (color, sequence)


def test_data_is_read_back_from_the_stored_body() -> None:
    assert read_stored(new_message("/s", "t", {"text": "hi"}).body, {}).data == {"text": "hi"}
    assert read_stored("not json", {}).data == "not json"
    assert read_stored("[1]", {}).data == [1]


def test_only_what_names_itself_has_an_identity_of_its_own() -> None:
    assert has_own_identity(new_message("/s", "t", {}).body)
    assert not has_own_identity("hi")
    assert not has_own_identity('{"specversion": "1.0"}')


# ---- times


def event(**members: object) -> str:
    return json.dumps({"specversion": "1.0", "id": "i", "source": "/s", "type": "t", **members})


def enveloped(message: str, **members: object) -> str:
    envelope = {"Type": "Notification", "MessageId": "sns-id", "TopicArn": "arn:aws:sns:x:y:z"}
    return json.dumps({**envelope, "Message": message, **members})


def test_a_message_counts_from_when_sqs_took_it_however_old_its_event_is() -> None:
    message = taken(event(time="2017-04-05T17:31:00Z"))

    assert message.time == SENT
    assert message.event_time == datetime(2017, 4, 5, 17, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timestamp", "time"),
    [
        ("2026-01-31T11:59:59.500Z", SENT - timedelta(seconds=0.5)),
        ("2026-01-20T12:00:00.000Z", SENT - timedelta(days=11)),  # SNS kept trying to deliver it
        ("2017-04-05T17:31:00.000Z", SENT),
        ("2026-01-31T12:00:01.000Z", SENT),
        ("yesterday", SENT),
        (None, SENT),
    ],
)
def test_an_envelope_tells_when_sns_took_it_if_that_can_be_true(timestamp: object, time: datetime) -> None:
    assert taken(enveloped("hi", Timestamp=timestamp)).time == time


# ---- how it was published


def test_an_envelope_says_more_than_the_queue_and_its_word_counts_on_its_topic() -> None:
    body = enveloped(
        "hi",
        Subject="An order",
        SequenceNumber="7",
        MessageAttributes={
            "priority": {"Type": "Number", "Value": "5"},
            "plain": {"Value": "no type"},
            "lost": {"Type": "Binary"},
        },
    )
    known = Publication(topic="told", attribute_types={"own": "Binary"}, group_id="A-1")

    message = message_from_body(
        body,
        text_id="sqs-id",
        text_source="/sqs/queue",
        published=SENT,
        attributes={"own": "AP8="},
        publication=known,
    )

    assert message.publication == Publication(
        topic="z",
        topic_arn="arn:aws:sns:x:y:z",
        message_id="sns-id",
        subject="An order",
        attribute_types={"priority": "Number", "plain": "String", "own": "Binary"},
        group_id="A-1",
        sequence_number="7",
    )
    assert message.attributes == {"priority": "5", "plain": "no type", "own": "AP8="}


@pytest.mark.parametrize("wrong", [None, "", 5, ["a"], {}])
def test_a_subject_that_is_no_text_is_none(wrong: object) -> None:
    assert taken(enveloped("hi", Subject=wrong, SequenceNumber=[])).publication.subject is None


def test_a_message_without_an_envelope_is_published_as_the_consumer_knows() -> None:
    assert taken(event()).publication == UNKNOWN


# ---- CloudEvents in other modes


BINARY_MODE = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "shop.order"}


@pytest.mark.parametrize("prefix", ["ce-", "ce_", "Ce-"])
@pytest.mark.parametrize("is_enveloped", [False, True])
def test_a_cloudevent_in_binary_mode_is_read_from_the_message_attributes(
    prefix: str, is_enveloped: bool
) -> None:
    attributes = {f"{prefix}{name}": value for name, value in BINARY_MODE.items()}
    attributes |= {f"{prefix}time": "2026-01-31T11:00:00Z", "tenant": "acme"}
    body = '{"order": 12345678901234567890}'
    if is_enveloped:
        typed = {name: {"Type": "String", "Value": value} for name, value in attributes.items()}
        message = taken(enveloped(body, MessageAttributes=typed))
    else:
        message = taken(body, attributes)

    assert (message.source, message.id, message.type) == ("/shop", "A-1", "shop.order")
    assert message.event_time == SENT - timedelta(hours=1)
    assert message.body == body
    assert message.data == {"order": 12345678901234567890}
    assert message.attributes == attributes
    assert read_stored(message.body, message.attributes).data == message.data


@pytest.mark.parametrize("missing", list(BINARY_MODE))
def test_attributes_that_lack_what_a_cloudevent_must_have_are_only_attributes(missing: str) -> None:
    attributes = {f"ce-{name}": value for name, value in BINARY_MODE.items() if name != missing}

    assert taken("hi", attributes).type == TEXT


def test_the_data_of_a_cloudevent_in_binary_mode_is_what_its_content_type_says() -> None:
    attributes = {f"ce-{name}": value for name, value in BINARY_MODE.items()}

    assert taken("42", {**attributes, "Content-Type": "text/plain"}).data == "42"
    assert taken("42", {**attributes, "content-type": "application/vnd.shop+json; charset=utf-8"}).data == 42
    assert taken("42", attributes).data == 42


def test_a_batch_of_cloudevents_stays_one_message_that_says_how_many() -> None:
    events = [json.loads(event(id=name, type=type_)) for name, type_ in (("1", "a"), ("2", "b"), ("3", "a"))]

    message = taken(json.dumps(events))

    assert (message.type, message.source, message.id) == (BATCH, "/s", "sqs-id")
    assert shown(message) == "3 CloudEvents: a, b"
    assert message.data == events


@pytest.mark.parametrize("body", ["[]", '[{"specversion": "1.0"}]', f"[{event()}, 1]"])
def test_a_list_of_anything_else_is_no_batch(body: str) -> None:
    assert taken(body).type == TEXT


@pytest.mark.parametrize(
    ("content", "content_type", "data", "preview"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png", b"\x89PNG\r\n\x1a\n", "8 bytes of image/png"),
        (b"\x0a\x01\x00", None, b"\x0a\x01\x00", "3 bytes"),
        ("Straße".encode(), "text/plain", "Straße", "Straße"),
        (b'{"text": "hi"}', "application/json", {"text": "hi"}, "hi"),
        (b'{"text": "hi"}', "text/plain", '{"text": "hi"}', '{"text": "hi"}'),
    ],
)
def test_data_in_base64_is_bytes_unless_it_is_text(
    content: bytes, content_type: str | None, data: object, preview: str
) -> None:
    message = taken(event(data_base64=base64.b64encode(content).decode(), datacontenttype=content_type))

    assert (message.data, shown(message)) == (data, preview)


@pytest.mark.parametrize("wrong", ["not base64", "QQ", 5, None, ["QQ=="]])
def test_data_that_is_no_base64_stays_as_it_is(wrong: object) -> None:
    assert taken(event(data_base64=wrong)).data == wrong


def test_the_subject_of_a_cloudevent_is_its_title_unless_its_data_holds_a_text() -> None:
    assert shown(taken(event(subject="orders/A-1", data={"order": 1}))) == "orders/A-1"
    assert shown(taken(event(subject="orders/A-1", data={"text": "two lamps"}))) == "two lamps"


def test_the_subject_of_a_notification_begins_the_title_of_what_has_no_other() -> None:
    assert shown(taken(enveloped('{"a": 1}', Subject="AWS Budgets: shop"))) == 'AWS Budgets: shop · {"a":1}'
    assert (
        shown(taken(enveloped("Over 80 %", Subject="AWS Budgets: shop"))) == "AWS Budgets: shop · Over 80 %"
    )
    assert shown(taken(enveloped(event(data={"text": "hi"}), Subject="A"))) == "hi"
    assert shown(taken(enveloped(event(subject="B", data={}), Subject="A"))) == "B"


def test_the_content_tells_messages_of_the_same_identity_apart() -> None:
    event = {"ce-specversion": "1.0", "ce-id": "i", "ce-source": "/s", "ce-type": "t"}
    one, other = taken("data", event), taken("data", event | {"ce-subject": "another"})

    assert (one.identity, one.content) == (taken("data", event).identity, taken("data", event).content)
    assert one.identity == other.identity
    assert one.content != other.content
    assert taken("a").content != taken("b").content
    assert taken("a", {"tenant": "x"}).content == taken("a").content

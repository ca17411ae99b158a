"""What is published and what arrives, as messages."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.message import (
    GREETING,
    TEXT,
    Message,
    NotACloudEvent,
    has_own_identity,
    message_from_body,
    message_from_event,
    new_message,
    read_data,
)

SENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def taken(body: str) -> Message:
    return message_from_body(body, text_id="sqs-id", text_source="/sqs/queue", published=SENT)


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

    assert again == message
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


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_what_a_cloudevent_must_have_is_named_when_it_is_missing(missing: str) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t"}
    del event[missing]

    with pytest.raises(NotACloudEvent, match=missing):
        message_from_event(event, SENT)


@pytest.mark.parametrize("time", [None, 5, "yesterday", "2026-01-31T12:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_gives_way_to_when_it_was_sent(time: object) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "time": time}

    assert message_from_event(event, SENT).time == SENT


@pytest.mark.parametrize("time", ["2026-01-31T13:30:00.5+01:30", "2026-01-31T12:00:00.500000Z"])
def test_times_are_taken_in_utc(time: str) -> None:
    event = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "time": time}

    assert message_from_event(event, SENT).time == SENT + timedelta(seconds=0.5)


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
    assert read_data(new_message("/s", "t", {"text": "hi"}).body) == {"text": "hi"}
    assert read_data("not json") == "not json"
    assert read_data("[1]") == [1]


def test_only_what_names_itself_has_an_identity_of_its_own() -> None:
    assert has_own_identity(new_message("/s", "t", {}).body)
    assert not has_own_identity("hi")
    assert not has_own_identity('{"specversion": "1.0"}')

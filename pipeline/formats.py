"""Formats: what the notifications of AWS services say about themselves.

Each is recognised by members that its documentation promises. An id is only taken from a format that promises
one for each event, or that holds enough to tell any two events apart; all other messages keep the id that SNS
or SQS gave them. A wrong or forged document is recognised as something else at worst: it stays a message.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

Document = Mapping[str, Any]

ALARM_STATE_CHANGE = "CloudWatch Alarm State Change"  # as EventBridge calls it
MAX_TITLE_VALUES = 3
MAX_VALUES_READ = 100
_ALARM_STATES = {"ALARM": "Alarm", "OK": "OK", "INSUFFICIENT_DATA": "Insufficient data"}


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a format says of a message, None where it says nothing; `title` tells in words what happened."""

    type: str
    title: str
    source: str | None = None
    id: str | None = None
    time: datetime | None = None


def recognise(document: Any) -> Recognised | None:
    """Return what a parsed body says about itself, or None if it has no known format."""
    if not isinstance(document, Mapping):
        return None
    return next((found for reader in _READERS if (found := reader(document))), None)


def parse_time(value: Any) -> datetime | None:
    """Return an RFC 3339 time in UTC, or None if it is not one or outside the years of Python."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def _eventbridge(event: Document) -> Recognised | None:
    """Read an event of a bus ("Amazon EventBridge events"), or of a notification rule.

    A rule of the Developer Tools console writes `detailType` and sends no id. A replay repeats the id, but is
    an event of its own.
    """
    kind = _text(event, "detail-type") or _text(event, "detailType")
    source = _text(event, "source")
    if not kind or not source or not isinstance(event.get("detail"), Mapping) or "account" not in event:
        return None
    id_, replay = _text(event, "id"), _text(event, "replay-name")
    return Recognised(
        type=kind,
        title=_eventbridge_title(kind, event),
        source=source,
        id=f"{id_}/{replay}" if id_ and replay else id_,
        time=parse_time(event.get("time")),
    )


def _eventbridge_title(kind: str, event: Document) -> str:
    detail = event["detail"]
    if kind == ALARM_STATE_CHANGE and (alarm := _text(detail, "alarmName")):
        return _alarm_title(_text(detail, "state", "value"), alarm)
    if event["source"] == "aws.s3" and (key := _text(detail, "object", "key")):
        return f"S3 {kind}: {key}"
    if names := [one for one in _list(event, "resources") if isinstance(one, str) and one]:
        # The resource of an ARN stands after the last : or / ("Amazon Resource Names").
        name = names[0].replace("/", ":").rpartition(":")[2]
        return " ".join(filter(None, (f"{kind}: {name}", _text(detail, "state"))))
    values = ", ".join(islice(_values(detail), MAX_TITLE_VALUES))
    return f"{kind}: {values}" if values else kind


def _s3(event: Document) -> Recognised | None:
    """Read a notification of a bucket ("Event message structure", Amazon S3).

    One request may delete many objects. Only with the sequencer of the object, which depends on the time, its
    id tells two events apart.
    """
    records = _list(event, "Records")
    if not records or any(_text(one, "eventSource") != "aws:s3" for one in records):
        return None
    [first, *others] = records
    name, bucket, key = (
        _text(first, *path) for path in (("eventName",), ("s3", "bucket", "name"), ("s3", "object", "key"))
    )
    if not name or not bucket or not key:
        return None
    request = _text(first, "responseElements", "x-amz-request-id")
    sequencer = _text(first, "s3", "object", "sequencer")
    more = f" and {len(others)} more" if others else ""
    return Recognised(
        type=f"s3:{name}",
        title=f"S3 {name.partition(':')[0]}: {unquote_plus(key)}{more}",
        source=f"arn:aws:s3:::{bucket}",
        id=f"{request}/{sequencer}" if request and sequencer and not others else None,
        time=parse_time(first.get("eventTime")),
    )


def _s3_test(event: Document) -> Recognised | None:
    """Read what S3 sends when notifications are configured ("Event message structure", Amazon S3)."""
    bucket = _text(event, "Bucket")
    if event.get("Service") != "Amazon S3" or event.get("Event") != "s3:TestEvent" or not bucket:
        return None
    return Recognised(
        type="s3:TestEvent",
        title=f"S3 TestEvent: {bucket}",
        source=f"arn:aws:s3:::{bucket}",
        id=_text(event, "RequestId"),
        time=parse_time(event.get("Time")),
    )


def _alarm(event: Document) -> Recognised | None:
    """Read a change of an alarm's state ("Notifying users on alarm changes", Amazon CloudWatch).

    It has no id, but an alarm changes to a state only once at a time.
    """
    name, state, changed = (_text(event, key) for key in ("AlarmName", "NewStateValue", "StateChangeTime"))
    if not name or not changed or state not in _ALARM_STATES:
        return None
    arn = _text(event, "AlarmArn")
    return Recognised(
        type=ALARM_STATE_CHANGE,
        title=_alarm_title(state, name),
        source=arn,
        id=f"{changed} {state}" if arn else None,
        time=parse_time(changed),
    )


def _alarm_title(state: str | None, name: str) -> str:
    return f"{_ALARM_STATES.get(state or '', state)}: {name}"


def _ses(event: Document) -> Recognised | None:
    """Read what became of a mail ("Amazon SNS notification contents for Amazon SES"; event publishing)."""
    kind = _text(event, "notificationType") or _text(event, "eventType")
    source = _text(event, "mail", "sourceArn") or _text(event, "mail", "source")
    if not kind or not source:
        return None
    recipients = [one for one in _list(event["mail"], "destination") if isinstance(one, str)]
    return Recognised(
        type=f"ses:{kind}",
        title=f"SES {kind}: {', '.join(recipients[:MAX_TITLE_VALUES])}",
        source=source,
        time=parse_time(_text(event, kind.lower(), "timestamp")),
    )


def _auto_scaling(event: Document) -> Recognised | None:
    """Read a notification of a group ("Amazon SNS notification options for Amazon EC2 Auto Scaling")."""
    kind, group = _text(event, "Event"), _text(event, "AutoScalingGroupName")
    if not kind or not kind.startswith("autoscaling:") or not group:
        return None
    return Recognised(
        type=kind,
        title=f"Auto Scaling {kind.partition(':')[2]}: {group}",
        source=_text(event, "AutoScalingGroupARN"),
        time=parse_time(event.get("Time")),
    )


def _code_pipeline_approval(event: Document) -> Recognised | None:
    """Read a request for an approval ("JSON data format for manual approval notifications", CodePipeline)."""
    pipeline, action = _text(event, "approval", "pipelineName"), _text(event, "approval", "actionName")
    if not pipeline or not action:
        return None
    return Recognised("codepipeline:approval", f"Approval needed: {pipeline}, {action}", source=pipeline)


_READERS: Sequence[Callable[[Document], Recognised | None]] = (
    _eventbridge,
    _s3,
    _s3_test,
    _alarm,
    _ses,
    _auto_scaling,
    _code_pipeline_approval,
)


def _text(document: Any, *path: str) -> str | None:
    """Return the text at this path; None if there is none, or it is empty."""
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) and document else None


def _list(document: Document, name: str) -> list[Any]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _values(document: Any) -> Iterator[str]:
    """Yield the first texts and numbers of a document. It may nest deeper than Python can recurse."""
    waiting = [document]
    for _ in range(MAX_VALUES_READ):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, Mapping | list):
            inner = list(value.values()) if isinstance(value, Mapping) else value
            waiting.extend(reversed(inner[:MAX_VALUES_READ]))
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)

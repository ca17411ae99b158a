"""The HTTP API: list, read and publish messages."""

import json
import socket
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from flask import Blueprint, Response, request

from pipeline.aws import Topic
from pipeline.message import TEXT, Message, NotACloudEvent, message_from_event, new_message
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store import Filter, Store
from viewer.parameters import cursor, limit, refuse_unknown, text, time
from viewer.views import summary_view, whole_view

JSON_TYPES = ("application/json", "application/cloudevents+json")


def api_blueprint(store: Store, topic: Topic) -> Blueprint:
    """Return `/api/messages` and what is below it."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/messages")

    @blueprint.get("")
    def list_messages() -> Response:
        refuse_unknown("source", "type", "since", "until", "limit", "before", "after")
        found = store.find(
            Filter(source=text("source"), type=text("type"), since=time("since"), until=time("until")),
            limit=limit(default=50, most=500),
            before=cursor("before", request.args.get("before")),
            after=cursor("after", request.args.get("after")),
        )
        return _json({"messages": [summary_view(message) for message in found]})

    @blueprint.get("/<int:seq>")
    def read_message(seq: int) -> Response:
        refuse_unknown()
        message = store.get(seq)
        if message is None:
            raise Problem(404, f"no message {seq} is stored")
        return _json(whole_view(message))

    @blueprint.post("")
    def publish_message() -> Response:
        refuse_unknown()
        message = _message_from_request()
        _publish(topic, message)
        return _json({"id": message.id, "source": message.source}, 202)

    return blueprint


def _message_from_request() -> Message:
    """Return the message that `{"text": …}` or a CloudEvent asks for."""
    # A page of another origin cannot send these types without asking first, and nothing here would allow it.
    if request.mimetype not in JSON_TYPES:
        raise Problem(415, f"Content-Type should be {' or '.join(JSON_TYPES)}")
    try:
        document = json.loads(request.get_data(as_text=True))
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Problem(400, 'the body should be {"text": "…"} or a CloudEvent')
    if "specversion" in document:
        try:
            return message_from_event(document, datetime.now(UTC))
        except NotACloudEvent as error:
            raise Problem(400, str(error)) from None
    words = document.get("text")
    if not isinstance(words, str) or not words:
        raise Problem(400, "text should be a text that is not empty", parameter="text")
    return new_message(f"/viewer/{socket.gethostname()}", TEXT, document)


def _publish(topic: Topic, message: Message) -> None:
    try:
        refused = topic.publish([message])
    except ClientError as error:
        raise Problem(_status_for(error.response["Error"]["Code"]), explain(error)) from None
    except AWS_ERRORS as error:
        raise Problem(503, f"SNS does not take messages now: {explain(error)}") from None
    if refused:
        raise Problem(400, f"SNS refused the message: {refused[0][1]}")


def _status_for(code: str) -> int:
    """Return 400 where AWS says that the message is at fault ("Publish", AWS), else 503."""
    return 400 if code.startswith(("Invalid", "BatchRequestTooLong", "ParameterValueInvalid")) else 503


def _json(value: Any, status: int = 200) -> Response:
    text = json.dumps(value, separators=(",", ":"))
    return Response(text, status, mimetype="application/json", headers={"Cache-Control": "no-store"})

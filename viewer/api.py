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
from pipeline.store import Store
from viewer.parameters import SEARCH_PARAMETERS, cursor, flag, number, refuse_unknown, search
from viewer.tail import Tail
from viewer.views import json_answer, near_miss_view, summary_view, whole_view
from viewer.waiting import Asked, near_misses, wait_for

MOST_LISTED = 500
LONGEST_WAIT_SECONDS = 60
JSON_TYPES = ("application/json", "application/cloudevents+json")


def api_blueprint(store: Store, tail: Tail, topic: Topic) -> Blueprint:
    """Return `/api/messages` and what is below it."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/messages")

    @blueprint.get("")
    def list_messages() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS, "limit", "before", "after", "wait", "count")
        count = number("count", default=1, most=MOST_LISTED)
        asked = Asked(
            search=search(),
            limit=max(count, number("limit", default=50, most=MOST_LISTED)),
            before=cursor("before", request.args.get("before")),
            after=_after(tail),
        )
        seconds = number("wait", default=0, least=0, most=LONGEST_WAIT_SECONDS)
        found = wait_for(store, tail, asked, count, seconds)
        answer: dict[str, Any] = {
            "messages": [summary_view(message) for message in found.messages],
            "cursor": found.cursor,
        }
        if seconds and len(found.messages) < count:
            answer["near_misses"] = [near_miss_view(miss) for miss in near_misses(store, asked)]
        return json_answer(answer)

    @blueprint.get("/facets")
    def count_values() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS)
        facets = store.facets(search())
        values = {
            name: [{"value": value, "count": count} for value, count in counts]
            for name, counts in facets.values.items()
        }
        return json_answer({"counted": facets.counted, "complete": facets.complete, "facets": values})

    @blueprint.delete("")
    def delete_messages() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS, "all")
        wanted = search()
        if not wanted.conditions and not flag("all"):
            raise Problem(400, "q should say what to delete; all=1 deletes everything", parameter="q")
        deleted = store.delete(wanted)
        tail.forget()
        return json_answer({"deleted": deleted})

    @blueprint.get("/<int:seq>")
    def read_message(seq: int) -> Response:
        refuse_unknown()
        message = store.get(seq)
        if message is None:
            raise Problem(404, f"no message {seq} is stored")
        return json_answer(whole_view(message))

    @blueprint.get("/<int:seq>/body")
    def download_body(seq: int) -> Response:
        refuse_unknown()
        message = store.get(seq)
        if message is None:
            raise Problem(404, f"no message {seq} is stored")
        # As text whatever it holds, and as a file: no browser opens it as a page of ours.
        name = f"attachment; filename=message-{seq}.txt"
        return Response(message.body, mimetype="text/plain", headers={"Content-Disposition": name})

    @blueprint.post("")
    def publish_message() -> Response:
        refuse_unknown()
        message = _message_from_request()
        _publish(topic, message)
        return json_answer({"id": message.id, "source": message.source}, 202)

    return blueprint


def _after(tail: Tail) -> int | None:
    """Return the cursor `after`; `now` is the newest there is."""
    value = request.args.get("after")
    return tail.newest() if value == "now" else cursor("after", value)


def _message_from_request() -> Message:
    """Return the message that `{"text": …}` or a CloudEvent asks for."""
    # A page of another origin cannot send these types without asking first, and nothing here would allow it.
    if request.mimetype not in JSON_TYPES:
        raise Problem(415, f"Content-Type should be {' or '.join(JSON_TYPES)}")
    try:
        text = request.get_data(as_text=True)
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Problem(400, 'the body should be {"text": "…"} or a CloudEvent')
    if "specversion" in document:
        try:
            # As it was written: 64-bit integers and the order of keys stay.
            return message_from_event(document, datetime.now(UTC), text)
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

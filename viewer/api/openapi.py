"""The description of the HTTP API (OpenAPI 3.1), and `GET /docs`, a page of it that asks no third party."""

from typing import Any

from flask import Blueprint, Response, render_template, request

from pipeline.search.sql import STATUSES
from viewer.api.dead_letters import MOST_CHOSEN
from viewer.api.dead_letters import MOST_LISTED as MOST_DEAD_LISTED
from viewer.api.messages import LONGEST_WAIT_SECONDS, MOST_LISTED
from viewer.api.models import json_answer
from viewer.api.parameters import LARGEST_SEQ
from viewer.api.publish import MOST_ATTRIBUTES
from viewer.api.status import WINDOWS
from viewer.aws.redrive import MAX_PER_SECOND

Schema = dict[str, Any]


def openapi_blueprint() -> Blueprint:
    """Return `GET /api/openapi.json` and `GET /docs`."""
    blueprint = Blueprint("openapi", __name__)
    document = describe()

    @blueprint.get("/api/openapi.json")
    def openapi() -> Response:
        return json_answer({**document, "servers": [{"url": request.script_root or "/"}]})

    @blueprint.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document, operations=_operations(document))

    return blueprint


def describe() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fanout viewer",
            "version": "1",
            "description": "Every stored message: find, follow, await, publish. Looking changes nothing.",
        },
        "security": [{}, {"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


# ---- pieces


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(mimetype: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {mimetype: {"schema": {"type": "string"}}}}


def _problems(*statuses: int) -> dict[str, Any]:
    reasons = {
        400: "a parameter or the body is wrong; `parameter` names it",
        401: "the token is missing or wrong",
        403: "switched off here (READ_ONLY, EXPORT), or asked by a page of another origin",
        404: "there is no such message",
        409: "what it needs is not there: a dead-letter queue, FAULTS, a redrive; or one is under way",
        413: "the body is too large",
        415: "the body is of another type",
        429: "too many streams of one client",
        503: "the database or AWS is away, or the viewer is stopping; ask again",
    }
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {str(status): {"description": reasons[status], "content": content} for status in (401, *statuses)}


def _query(name: str, description: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _whole(least: int, most: int, default: int | None = None) -> Schema:
    bounds = {"type": "integer", "minimum": least, "maximum": most}
    return bounds if default is None else {**bounds, "default": default}


def _operation(summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"summary": summary, "responses": responses, **more}


_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "string", "enum": ["0", "1", "false", "true"]}
_SEQ: Schema = {"type": "integer", "minimum": 0, "maximum": LARGEST_SEQ}
_SEARCH = [
    _query(
        "q",
        'the search, as on the page: words, "a phrase", type:…, status:dead, data.order.id:42, -not',
        _TEXT,
    ),
    _query("source", "exactly this source", _TEXT),
    _query("type", "exactly this type", _TEXT),
    _query("since", "published at this time or later", _TIME),
    _query("until", "published before this time", _TIME),
]
_CURSOR: Schema = {"oneOf": [_SEQ, {"type": "string", "const": "now"}]}
_PATH_SEQ: Schema = {
    "name": "seq",
    "in": "path",
    "required": True,
    "description": "its place in the store",
    "schema": _SEQ,
}


def _null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


def _object(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _each(names: str, schema: Schema) -> dict[str, Schema]:
    """Return the same schema for each of these names."""
    return dict.fromkeys(names.split(), schema)


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


# ---- what there is


def _paths() -> dict[str, Any]:
    return {
        "/api/messages": {
            "get": _operation(
                "List messages, or wait for them",
                {"200": _json(_ref("List"), "newest first"), **_problems(400, 503)},
                description=(
                    "With `wait` the answer is held until at least `count` messages match. Every answer has "
                    "a `cursor`; `after` it comes what that answer did not look at. When the time runs out, "
                    "`near_misses` tells what came closest, and the first condition each did not meet."
                ),
                parameters=[
                    *_SEARCH,
                    _query("limit", "how many at most", _whole(1, MOST_LISTED, 50)),
                    _query("before", "those stored before this seq", _SEQ),
                    _query("after", "those that follow this cursor directly; `now`: only new ones", _CURSOR),
                    _query("wait", "seconds to wait for them", _whole(0, LONGEST_WAIT_SECONDS, 0)),
                    _query("count", "how many to wait for", _whole(1, MOST_LISTED, 1)),
                ],
            ),
            "post": _operation(
                "Publish a message to the topic",
                {
                    "202": _json(_object({"id": _TEXT, "source": _TEXT}), "SNS took it"),
                    **_problems(400, 403, 413, 415, 503),
                },
                description=(
                    '`{"text": "…"}` (what else is in it becomes data too) or a whole CloudEvent; or either '
                    "as `message` beside `attributes`, the SNS message attributes to send with it."
                ),
                requestBody={
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"oneOf": [_ref("Text"), _ref("CloudEvent"), _ref("WithAttributes")]}
                        },
                        "application/cloudevents+json": {"schema": _ref("CloudEvent")},
                    },
                },
            ),
            "delete": _operation(
                "Delete what a search finds, or everything",
                {"200": _json(_object({"deleted": _COUNT}), "deleted"), **_problems(400, 403, 503)},
                description="For a clean slate between test runs. A search is needed, or `all=1`.",
                parameters=[*_SEARCH, _query("all", "everything", _FLAG)],
            ),
        },
        "/api/messages/{seq}": {
            "get": _operation(
                "Read one message whole",
                {"200": _json(_ref("Message"), "the message"), **_problems(400, 404, 503)},
                parameters=[_PATH_SEQ],
            )
        },
        "/api/messages/{seq}/body": {
            "get": _operation(
                "Download a message as it was published",
                {"200": _text("text/plain", "its document"), **_problems(400, 404, 503)},
                parameters=[_PATH_SEQ],
            )
        },
        "/api/messages/facets": {
            "get": _operation(
                "Count the values of type, source, status and attributes in a search",
                {"200": _json(_ref("Facets"), "of the ten thousand newest found"), **_problems(400, 503)},
                parameters=_SEARCH,
            )
        },
        "/api/messages/statuses": {
            "get": _operation(
                "See what became of messages that were listed before",
                {
                    "200": _json(
                        _object({"from": _SEQ, "statuses": _list(_ref("Status"))}),
                        "newest first; `from` that seq on, what is not named has no status",
                    ),
                    **_problems(400, 503),
                },
                parameters=[
                    *_SEARCH,
                    _query("after", "those stored after this seq", _SEQ),
                    _query("before", "those stored before this seq", _SEQ),
                ],
            )
        },
        "/api/messages.ndjson": {
            "get": _operation(
                "Export a search, one JSON document a line, oldest first",
                {"200": _text("application/x-ndjson", "all of it"), **_problems(400, 403, 503)},
                parameters=_SEARCH,
            )
        },
        "/api/messages.csv": {
            "get": _operation(
                "Export a search as CSV, oldest first",
                {"200": _text("text/csv", "all of it"), **_problems(400, 403, 503)},
                parameters=_SEARCH,
            )
        },
        "/latest": {
            "get": _operation(
                "Go to the page of the newest message that a search finds",
                {"302": {"description": "there"}, **_problems(400, 404, 503)},
                parameters=_SEARCH,
            )
        },
        "/api/stream": {
            "get": _operation(
                "Follow messages as they are stored (server-sent events)",
                {"200": _text("text/event-stream", "without end"), **_problems(400, 429, 503)},
                description=(
                    "`ready` says where the stream begins. Each `message` is an entry of the list, its id "
                    "the seq; a client that comes back with `Last-Event-ID` is given what it missed, without "
                    "gap or repeat. With `gaps=1` a `gap` event {from, to, count} stands for messages passed "
                    "over where there are more than an eye can follow. An idle stream sends comments. A "
                    "search by `status:` finds what is true as a message is stored; the list tells more."
                ),
                parameters=[
                    *_SEARCH,
                    _query("after", "begin after this seq; without it, with what comes now", _SEQ),
                    _query("gaps", "allow gaps", _FLAG),
                    {
                        "name": "Last-Event-ID",
                        "in": "header",
                        "description": "goes before `after`",
                        "schema": _SEQ,
                    },
                ],
            )
        },
        "/api/dead-letters": {
            "get": _operation(
                "List dead letters with their reasons",
                {"200": _json(_ref("DeadLetters"), "the one that died last first"), **_problems(400, 503)},
                parameters=[_query("limit", "how many at most", _whole(1, MOST_DEAD_LISTED, 100))],
            )
        },
        "/api/dead-letters/{message_id}": {
            "get": _operation(
                "Read one dead letter whole",
                {"200": _json(_ref("WholeDeadLetter"), "the dead letter"), **_problems(400, 404, 503)},
                parameters=[
                    {
                        "name": "message_id",
                        "in": "path",
                        "required": True,
                        "description": "SQS's",
                        "schema": {"type": "string", "pattern": "^[0-9a-f-]{36}$"},
                    }
                ],
            )
        },
        "/api/dead-letters/redrive": {
            "get": _operation(
                "See how far the redrive has got, or the last one did",
                {
                    "200": _json(
                        _object(
                            {
                                **_each("from to", _TEXT),
                                "waiting": _COUNT,
                                "redrive": _null(_ref("Redrive")),
                            }
                        ),
                        "between which queues, how many could be moved; and the redrive, if one is known",
                    ),
                    **_problems(400, 409, 503),
                },
            ),
            "post": _operation(
                "Send dead letters back to the queue",
                {
                    "202": _json(_object({"redrive": _ref("Redrive")}), "begun; ask how far it has got"),
                    **_problems(400, 403, 409, 413, 415, 503),
                },
                requestBody={
                    "required": True,
                    "content": {"application/json": {"schema": _ref("RedriveWhat")}},
                },
            ),
            "delete": _operation(
                "Cancel the redrive; what was moved stays moved",
                {
                    "202": _json(_object({"redrive": _ref("Redrive")}), "it stops"),
                    **_problems(400, 403, 409, 503),
                },
            ),
        },
        "/api/faults": {
            "put": _operation(
                "Choose the share of messages that fail on purpose",
                {"200": _json(_ref("Faults"), "chosen"), **_problems(400, 403, 409, 413, 415, 503)},
                description=(
                    '`{"fail": 0.2}` fails a fifth, at every try, where consumers run with FAULTS: '
                    "`/api/pipeline` says whether, and the share."
                ),
                requestBody={"required": True, "content": {"application/json": {"schema": _ref("Faults")}}},
            )
        },
        "/api/pipeline": {
            "get": _operation(
                "See each stage: services, queues, store",
                {"200": _json(_ref("Pipeline"), "now"), **_problems(400, 503)},
            )
        },
        "/api/stats": {
            "get": _operation(
                "Read figures over time",
                {"200": _json(_ref("Stats"), "oldest first"), **_problems(400, 503)},
                parameters=[
                    _query("window", "how far back", {"type": "string", "enum": [*WINDOWS], "default": "5m"})
                ],
            )
        },
        "/api/waiting": {
            "get": _operation(
                "See what lies in the queue, without receiving it",
                {
                    "200": _json(_ref("Waiting"), "now; `messages` is null where none can be seen"),
                    **_problems(400, 503),
                },
            )
        },
        "/health": {
            "get": _operation(
                "Ask whether the viewer lives, or can serve",
                {
                    "200": _json({"type": "object"}, "yes"),
                    "400": _problems(400)["400"],
                    "503": _json({"type": "object"}, "no, with the reason"),
                },
                parameters=[
                    _query("probe", "which of them", {"type": "string", "enum": ["liveness", "readiness"]})
                ],
                security=[],
            )
        },
    }


def _schemas() -> dict[str, Schema]:
    summary: dict[str, Schema] = {
        "seq": _SEQ,
        "source": _TEXT,
        "id": _TEXT,
        "type": _TEXT,
        "time": _TIME,
        "preview": _TEXT,
        "color": _null({"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"}),
        "sequence": _null({"type": "integer"}),
        "size": _COUNT,
        "receive_count": _COUNT,
        "stored_at": _TIME,
        "latency_seconds": _NUMBER,
        "since_previous_seconds": _null(_NUMBER),
        "tries": _COUNT,
        "status": _null({"type": "string", "enum": [*STATUSES]}),
    }
    delivery = _object(
        {
            "message_id": _TEXT,
            "receive_count": _COUNT,
            **_each("sent_at received_at", _TIME),
            **_each("stored_at failed_at", _null(_TIME)),
            "duplicate": {"type": "boolean"},
            **_each("error_type error", _null(_TEXT)),
        }
    )
    outcome = _object(
        {"message_id": _TEXT, **_each("dead_at redriven_at resolved_at", _null(_TIME))},
    )
    original = _object(
        {**_each("source id", _TEXT), "seq": _null(_SEQ), "dead_letter": _null(_TEXT)},
    )
    links: dict[str, Schema] = {"copy_of": _null(original), "copies": _list(_SEQ)}
    attributes: Schema = {"type": "object", "additionalProperties": _TEXT}
    depth: dict[str, Schema] = {"name": _TEXT, "visible": _COUNT, "in_flight": _COUNT, "delayed": _COUNT}
    state: dict[str, Schema] = {"state": _TEXT, "reason": _null(_TEXT)}
    figures = _object(
        {
            "total": _COUNT,
            "oldest": _null(_TIME),
            "per_second": _NUMBER,
            "last_minute": _COUNT,
            **_each("p50 p95 p99", _null(_NUMBER)),
        }
    )
    point = _object(
        {
            "at": _TIME,
            **_each("stored duplicates failed", _COUNT),
            **_each("p50 p95 p99", _null(_NUMBER)),
            **_each("visible in_flight delayed dead", _null(_COUNT)),
        }
    )
    letter: dict[str, Schema] = {
        **_each("message_id source id type preview", _TEXT),
        **_each("error_type error traceback", _TEXT),
        **_each("time first_failed_at last_failed_at dead_at", _TIME),
        "tries": _COUNT,
        "redriven_at": _null(_TIME),
    }
    waiting = _object(
        {
            "message_id": _TEXT,
            "state": {"type": "string", "enum": ["visible", "in flight", "delayed"]},
            "receive_count": _COUNT,
            "sent_at": _null(_TIME),
            "body": _TEXT,
            "attributes": attributes,
            "size": _COUNT,
        }
    )
    per_second = _null(_whole(1, MAX_PER_SECOND))
    named: Schema = {"type": "string", "minLength": 1}
    value = _object({"value": _TEXT, "count": _COUNT})
    return {
        "Problem": _object(
            {"title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "parameter": _TEXT},
            optional=("parameter",),
        ),
        "Summary": _object(summary),
        "Status": _object({name: summary[name] for name in ("seq", "status", "tries")}),
        "Message": _object(
            {
                **summary,
                "data": {},
                "body": _TEXT,
                "attributes": attributes,
                "deliveries": _list(delivery),
                "outcomes": _list(outcome),
                **links,
            }
        ),
        "List": _object(
            {
                "messages": _list(_ref("Summary")),
                "cursor": _SEQ,
                "near_misses": _list(_object({"failed": _TEXT, "message": _ref("Summary")})),
            },
            optional=("near_misses",),
        ),
        "Facets": _object(
            {
                "counted": _COUNT,
                "complete": {"type": "boolean"},
                "facets": {"type": "object", "additionalProperties": _list(value)},
            }
        ),
        "Text": {**_object({"text": named}), "not": {"required": ["specversion"]}},
        "CloudEvent": _object(
            {
                "specversion": {"const": "1.0"},
                **_each("id source type", named),
                "time": _TIME,
                "data": {},
            },
            optional=("time", "data"),
        ),
        "WithAttributes": {
            **_object(
                {
                    "message": {"oneOf": [_ref("Text"), _ref("CloudEvent")]},
                    "attributes": {
                        "type": "object",
                        "maxProperties": MOST_ATTRIBUTES,
                        "additionalProperties": {"oneOf": [named, _NUMBER]},
                    },
                },
                optional=("attributes",),
            ),
            "additionalProperties": False,
        },
        "Redrive": _object(
            {
                "status": {
                    "type": "string",
                    "enum": ["running", "cancelling", "cancelled", "completed", "failed"],
                },
                **_each("moved total", _COUNT),
                "started_at": _TIME,
                "reason": _null(_TEXT),
            }
        ),
        "RedriveWhat": {
            "oneOf": [
                {
                    **_object({**what, "per_second": per_second}, optional=("per_second",)),
                    "additionalProperties": False,
                }
                for what in (
                    {"message_ids": {**_list(_TEXT), "minItems": 1, "maxItems": MOST_CHOSEN}},
                    {"all": {"const": True}},
                )
            ]
        },
        "DeadLetters": _object({"dead_letters": _list(_object(letter))}),
        "WholeDeadLetter": _object({**letter, "body": _TEXT, "attributes": attributes, **links}),
        "Faults": {
            **_object({"fail": {"type": "number", "minimum": 0, "maximum": 1}}),
            "additionalProperties": False,
        },
        "Pipeline": _object(
            {
                "services": {"type": "object", "additionalProperties": _object(state)},
                "topic": _object({"name": _TEXT, **state}),
                "queue": _object({**depth, **state}, optional=("visible", "in_flight", "delayed")),
                "dead_letter_queue": _null(_object({**depth, **state})),
                "store": figures,
                "faults": _null(_ref("Faults")),
            }
        ),
        "Stats": _object(
            {
                "window": _TEXT,
                "begin": _TIME,
                "width_seconds": _NUMBER,
                "now": figures,
                "points": _list(point),
            }
        ),
        "Waiting": _object(
            {"queue": _object(depth), "messages": _null(_list(waiting)), "reason": _null(_TEXT)}
        ),
    }


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"path": path, "method": method.upper(), **operation}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]

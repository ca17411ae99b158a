"""Checking requests: they become the models that handlers take, or a problem that names what is wrong."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from flask import current_app, request
from flask_openapi3.models import RawModel
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, core_schema
from werkzeug.exceptions import RequestEntityTooLarge

from pipeline.problems import Problem

Model = TypeVar("Model", bound=BaseModel)

# Of arrays and objects in a body: well below what Python's parser accepts.
MAX_DEPTH = 500
# Of brackets and commas: SNS accepts 256 KiB.
MAX_SIGNS = 300_000
# Of a file. Six large bodies may arrive at once, and the one that is replayed stays in memory.
MAX_FILE_BYTES = 8 * 2**20

# A bracket, or a string and whether it names a member.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NESTING = re.compile(rf"(?P<name>{_STRING})(?=\s*:)|{_STRING}|[\[\]{{}}]", re.DOTALL)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class PlainSchema(GenerateJsonSchema):
    """JSON schemas without what says nothing: titles made from names, and null as the default."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Set none."""
        del schema
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out null, which stands for a parameter that is absent."""
        described = super().default_schema(schema)
        if described.get("default", "") is None:
            del described["default"]
        return described


class Described(BaseModel):
    """A model with a plain schema."""

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the schema as the API's description shows it."""
        return super().model_json_schema(*args, **{**options, "schema_generator": PlainSchema})


class Parameters(Described):
    """Parameters of a path, a query or the headers. Unknown ones are refused.

    If they were ignored, a misspelt filter would look like one that matches everything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(Described):
    """The body of a request: JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    media_types: ClassVar[tuple[str, ...]] = ("application/json",)

    @classmethod
    def from_document(cls, document: Any, text: str) -> Self:
        """Return the body that this document is; `text` is what it was parsed from."""
        del text
        return check(cls, document)


class File(RawModel):
    """The body of a request that is a file of this type."""

    example: ClassVar[str]


AnyBody = TypeVar("AnyBody", bound=Body)


def check(model: type[Model], values: Any) -> Model:
    """Return the model of these values. Raises the Problem that says what is wrong."""
    try:
        return model.model_validate(values, context=current_app.extensions)
    except ValidationError as error:
        raise _problem(model, error.errors(include_url=False)) from None


def read_body(model: type[AnyBody]) -> AnyBody:
    """Return the model of the body of this request."""
    # Before a page of another origin may send these types, its browser asks, and nothing here allows it.
    if request.mimetype not in model.media_types:
        raise Problem(415, f"Content-Type should be {' or '.join(model.media_types)}")
    try:
        text = request.get_data().decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"the body is not UTF-8: see byte {error.start}", parameter="body") from None
    _refuse_many_values(text)
    _refuse_depth(text)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    _refuse_halves(document, text)
    return model.from_document(document, text)


def read_file(model: type[File]) -> bytes:
    """Return the body of this request as it is: one of the content types of the model, and not too large."""
    if request.mimetype not in model.mimetypes:
        raise Problem(415, f"Content-Type should be {' or '.join(model.mimetypes)}")
    request.max_content_length = MAX_FILE_BYTES
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Problem(413, f"a file should have at most {MAX_FILE_BYTES >> 20} MiB") from None


def _refuse_many_values(text: str) -> None:
    """Raise the Problem that the body holds more than any message that SNS accepts.

    Before it is parsed: two megabytes of empty lists would take a hundred, and seconds for each step.
    """
    if sum(map(text.count, "[{,")) > MAX_SIGNS:
        raise Problem(413, "the body holds more values than a message of 256 KiB can")


def _refuse_depth(text: str) -> None:
    """Raise the Problem that names the member of the body that nests too deep.

    Before it is parsed: how deep Python's parser goes depends on its version, and on who calls it.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:  # nearly always
        return
    depth, member = 0, "body"
    for token in _NESTING.finditer(text):
        if token["name"] and depth == 1:
            member = token["name"].strip('"')
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise Problem(400, f"{member} is nested more than {MAX_DEPTH} levels deep", parameter=member)


def _refuse_halves(document: Any, text: str) -> None:
    """Raise the Problem that names the member of the body with half of a surrogate pair in it.

    It is no character: it cannot be encoded, and so not be published as it is.
    """
    if not _HALF.search(text):
        return
    members = document if isinstance(document, dict) else {"body": document}
    for name, value in members.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            detail = f"{name} should consist of characters: half of a surrogate pair is none"
            raise Problem(400, detail, parameter=name) from None


def _problem(model: type[BaseModel], errors: list[ErrorDetails]) -> Problem:
    unknown = (error for error in errors if error["type"] == "extra_forbidden")
    error = next(unknown, errors[0])
    schema = model.model_json_schema()
    if not error["loc"]:
        example = json.dumps(schema["example"])
        return Problem(400, _said(error) or f"the body should be an object such as {example}")
    name, known = str(error["loc"][0]), schema.get("properties", {})
    if error["type"] == "extra_forbidden":
        kind = "parameter" if issubclass(model, Parameters) else "member"
        others = f"the {kind}s are {', '.join(known)}" if known else f"there are no {kind}s"
        return Problem(400, f"{name} is not a {kind} here; {others}", parameter=name)
    return Problem(400, _explain(name, error, known), parameter=name)


def _explain(name: str, error: ErrorDetails, known: Mapping[str, Any]) -> str:
    if error["type"] in ("missing", "string_too_short"):
        return f"{name} is required"
    if error["type"] == "string_unicode":
        return f"{name} should not hold half of a surrogate pair"
    return _said(error) or f"{name} should be {_expected(known[name])}"


def _said(error: ErrorDetails) -> str:
    """Return the text of a ValueError that one of our own checks raised."""
    return str(error["ctx"]["error"]) if error["type"] == "value_error" else ""


def _expected(schema: Mapping[str, Any]) -> str:
    """Say in words what a schema allows."""
    alternatives = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if alternatives:
        return " or ".join(map(_expected, alternatives))
    if "const" in schema:
        return json.dumps(schema["const"]).strip('"')
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if schema.get("format") == "date-time":
        return "a time with its zone (RFC 3339), such as 2026-01-31T12:00:00Z"
    if schema["type"] == "array":
        return f"a list of {schema['minItems']} to {schema['maxItems']} texts"
    kinds = {"boolean": "0 or 1", "integer": "a whole number", "number": "a number", "object": "an object"}
    limits = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""
    return kinds.get(schema["type"], "a text") + limits

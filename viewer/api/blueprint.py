"""The blueprint of every resource of the API: it describes and checks routes by the types of their handlers.

A handler names what it takes: `path`, `header`, `query` and `body` are pydantic models. What it returns is a
dataclass, which is sent as JSON, or a Response. flask-openapi3 makes the description of that (OpenAPI 3.1);
requests are checked here, because the library would ignore unknown parameters and wrong content types.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_args, get_origin, get_type_hints

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models import OPENAPI3_REF_TEMPLATE
from flask_openapi3.models.schema import Schema
from flask_openapi3.models.tag import Tag
from flask_openapi3.utils import parse_rule
from pydantic import BaseModel, TypeAdapter
from werkzeug.wrappers import Response as AnyResponse

from viewer.api.answers import json_answer
from viewer.api.checks import Body, File, Parameters, PlainSchema, check, read_body, read_file
from viewer.api.models import Accepted, ProblemDocument

Responses = dict[str | int, Any]

REASONS = {
    400: "a parameter or the body is wrong; `parameter` names it",
    401: "the token is missing or wrong",
    403: "switched off here (READ_ONLY, EXPORT), or requested by a page of another origin",
    404: "there is no such message, queue or replay",
    408: "the body arrives too slowly",
    409: "what it needs is missing (a topic, a queue, FAULTS, a redrive, a replay), a redrive or a replay is "
    "running, or the message cannot be copied",
    413: "the body is too large",
    415: "the body is of another type",
    421: "without a token, the viewer answers to localhost, IP addresses and ALLOWED_HOSTS only",
    429: "too many wrong tokens, streams or exports of one client, or too many exports",
    503: "the database or AWS does not answer, the search costs too much, or the viewer is busy or stopping",
}


class NoParameters(Parameters):
    """What a handler takes that names no `query`."""


class ApiBlueprint(APIBlueprint):
    """A blueprint whose routes are checked, and described by `describe`."""

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        about: str,
        prefix: str | None = None,
        common: Sequence[int] = (400, 401, 421, 429, 503),
        **options: Any,
    ) -> None:
        """`about` describes these operations, `prefix` begins their paths, `common` are errors of each."""
        super().__init__(
            name,
            import_name,
            abp_tags=[Tag(name=name.replace("_", " ").capitalize(), description=about)],
            abp_responses=problems(*common),
            operation_id_callback=lambda *, name, **_: name,
            url_prefix=prefix,
            **options,
        )
        self._undescribed: list[Callable[[], None]] = []

    def describe(self) -> None:
        """Fill `paths`, `components_schemas` and `tags`, which takes longer than all else at the start."""
        while self._undescribed:
            self._undescribed.pop(0)()

    def _collect_openapi_info(self, rule: str, func: Callable[..., Any], **options: Any) -> Any:
        """Return the models that a handler takes, and put off its description."""
        self._undescribed.append(functools.partial(self._describe, rule, func, **options))
        return super()._collect_openapi_info(rule, func, **{**options, "doc_ui": False})

    def _describe(
        self,
        rule: str,
        func: Callable[..., Any],
        *,
        method: str,
        responses: Responses | None,
        **more: Any,
    ) -> None:
        """Describe an operation by its docstring and its types; `responses` are its further ones."""
        types = get_type_hints(func)
        body: type[Body] | None = types.get("body")
        summary, _, description = (inspect.getdoc(func) or "").partition("\n\n")
        super()._collect_openapi_info(
            rule,
            func,
            method=method,
            responses={
                status: response if isinstance(response, dict) else self._json(response)
                for status, response in {
                    **_answer(types["return"]),
                    **(problems(403) if method != "GET" else {}),
                    **(problems(408, 413, 415) if body or "raw" in types else {}),
                    **(responses or {}),
                }.items()
            },
            **{**more, "summary": summary.rstrip("."), "description": description.replace("\n", " ")},
        )
        if body:
            path = self.paths[parse_rule(rule, url_prefix=self.url_prefix)]
            content = getattr(path, method.lower()).requestBody.content
            content.update(dict.fromkeys(body.media_types, content["application/json"]))
        file: type[File] | None = types.get("raw")
        if file:
            path = self.paths[parse_rule(rule, url_prefix=self.url_prefix)]
            for content in getattr(path, method.lower()).requestBody.content.values():
                content.example = file.example

    def _json(self, answer: Any) -> dict[str, Any]:
        """Describe an answer of this type: a dataclass, or a union of some."""
        schema = TypeAdapter(answer).json_schema(
            ref_template=OPENAPI3_REF_TEMPLATE, mode="serialization", schema_generator=PlainSchema
        )
        definitions = schema.pop("$defs", {})
        kinds = get_args(answer) or (answer,)
        if kinds == (answer,):
            definitions[answer.__name__] = schema
            schema = _reference(answer)
        self.components_schemas.update({name: Schema(**one) for name, one in definitions.items()})
        description = " Or: ".join(inspect.getdoc(kind) or "" for kind in kinds)
        return {"description": description, "content": {"application/json": {"schema": schema}}}

    @staticmethod
    def create_view_func(func: Callable[..., Any], *models: Any, **_: Any) -> Any:
        """Return what Flask calls: it checks the request, calls the handler and writes the answer."""
        header, _cookie, path, query, _form, body, raw = models

        @functools.wraps(func)
        def view(**in_path: Any) -> AnyResponse:
            given: dict[str, BaseModel] = {}
            if path:
                given["path"] = check(path, in_path)
            parameters = check(query or NoParameters, request.args.to_dict())
            if query:
                given["query"] = parameters
            if header:
                given["header"] = check(header, _headers(header))
            if body:
                given["body"] = read_body(body)
            answer = func(**given, **({"raw": read_file(raw)} if raw else {}))
            if isinstance(answer, AnyResponse):
                return answer
            return json_answer(answer.answer, 202) if isinstance(answer, Accepted) else json_answer(answer)

        return view


def problems(*statuses: int) -> Responses:
    """Return the descriptions of these errors."""
    content = {"application/problem+json": {"schema": _reference(ProblemDocument)}}
    return {str(status): {"description": REASONS[status], "content": content} for status in statuses}


def text(mimetype: str, description: str, example: str) -> Responses:
    """Return the description of an answer that is not JSON."""
    content = {mimetype: {"schema": {"type": "string"}, "example": example}}
    return {"200": {"description": description, "content": content}}


def _answer(returned: Any) -> Responses:
    """Return the status and the type of what a handler returns; a Response is described beside its route."""
    if get_origin(returned) is Accepted:
        return {202: get_args(returned)[0]}
    if isinstance(returned, type) and issubclass(returned, AnyResponse):
        return {}
    return {200: returned}


def _reference(answer: type) -> dict[str, str]:
    return {"$ref": OPENAPI3_REF_TEMPLATE.format(model=answer.__name__)}


def _headers(model: type[Parameters]) -> dict[str, str]:
    names = [field.alias or name for name, field in model.model_fields.items()]
    return {name: request.headers[name] for name in names if name in request.headers}

"""The description of the API: `/api/openapi.json`, and `/docs`, an interactive page of it.

Everything that the page needs comes from the installed package of Swagger UI: it asks no third party.
"""

from importlib import resources
from typing import Any

from flask import Response, make_response, render_template, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from viewer.api.answers import json_answer
from viewer.api.blueprint import ApiBlueprint
from viewer.api.models import ProblemDocument

SWAGGER_UI = str(resources.files("flask_openapi3_swagger") / "templates" / "swagger")

EXAMPLE = {"openapi": "3.1.0", "info": {"title": "Fanout viewer", "version": "1"}, "paths": {}}
DESCRIPTION: dict[str, Any] = {
    "info": Info(
        title="Fanout viewer",
        version="1",
        description=(
            "Every stored message: find, follow, await, publish. Reading changes nothing. Errors are problem "
            "documents (RFC 9457). With VIEWER_TOKEN set, send `Authorization: Bearer …`, or sign in first."
        ),
    ),
    "security_schemes": {"token": {"type": "http", "scheme": "bearer"}},
    "openapi_extensions": {"security": [{}, {"token": []}]},
    "validation_error_status": 400,
    "validation_error_model": ProblemDocument,
    "doc_ui": False,  # the library's own pages
}


class DescribedApp(OpenAPI):
    """An application that describes its API when it is first asked for that, so that it starts sooner."""

    def generate_spec_json(self) -> None:
        """Describe every resource."""
        for api in self.blueprints.values():
            if isinstance(api, ApiBlueprint):
                api.describe()
                self.tags += [tag for tag in api.tags if tag not in self.tags]
                self.paths.update(api.paths)
                self.components_schemas.update(api.components_schemas)
        super().generate_spec_json()  # type: ignore[no-untyped-call]


def docs_blueprint(app: DescribedApp) -> ApiBlueprint:
    """Return both; what is described is what is registered with the app."""
    blueprint = ApiBlueprint(
        "docs",
        __name__,
        about="The description of the API",
        common=(400, 401, 421, 429),
        static_folder=SWAGGER_UI,
        static_url_path="/docs/swagger",
    )

    @blueprint.get(
        "/api/openapi.json",
        responses={
            "200": {
                "description": "the document",
                "content": {"application/json": {"schema": {"type": "object"}, "example": EXAMPLE}},
            }
        },
    )
    def openapi_document() -> Response:
        """Read the description of the API.

        This document (OpenAPI 3.1).
        """
        document = {**app.api_doc, "servers": [{"url": request.script_root or "/"}]}
        return json_answer(document)

    @blueprint.route("/docs")
    def page() -> Response:
        return make_response(render_template("docs.html"))

    return blueprint

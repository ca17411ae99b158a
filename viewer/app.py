"""The viewer's web application: every route, and what each of them is given."""

from typing import TYPE_CHECKING

from flask import Flask, Response

from pipeline.aws import Topic
from pipeline.health import Health, health_blueprint
from pipeline.problems import Problem, answer_problems_as_documents
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.store.connection import Database
from pipeline.store.dead_letters import FailureReader
from pipeline.store.faults import FaultShare
from viewer.api.dead_letters import dead_letters_blueprint
from viewer.api.export import export_blueprint
from viewer.api.faults import faults_blueprint
from viewer.api.messages import api_blueprint
from viewer.api.openapi import openapi_blueprint
from viewer.api.status import overview_blueprint
from viewer.api.stream import stream_blueprint
from viewer.auth import guard
from viewer.aws.queue_inspection import Queues
from viewer.aws.redrive import DeadLetterQueue
from viewer.compression import compress
from viewer.live.hub import Hub
from viewer.live.samples import Samples
from viewer.live.tail import Tail
from viewer.pages import add_pages
from viewer.redaction import Mask, RedactingReader
from viewer.settings import ViewerSettings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SNS takes messages of up to 256 KiB; in JSON each of their characters may take six bytes.
MAX_REQUEST_BYTES = 2 * 1024 * 1024

# Only files of the viewer itself run or are shown, whatever a message holds.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(
    database: Database,
    reader: RedactingReader,
    topic: Topic,
    sqs: "SQSClient",
    *,
    hub: Hub,
    tail: Tail,
    health: Health,
    settings: ViewerSettings,
) -> Flask:
    """Return the application."""
    app = Flask(__name__, static_folder="web/static", template_folder="web/templates")
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    mask = Mask(settings.redacted_fields)
    failures = FailureReader(database)
    dead_letter_queue = DeadLetterQueue(sqs, settings.queue_name, failures)
    fault_share = FaultShare(database)
    app.register_blueprint(health_blueprint(health))
    app.register_blueprint(api_blueprint(reader, failures, hub, topic, mask))
    app.register_blueprint(stream_blueprint(reader, hub, settings))
    app.register_blueprint(export_blueprint(reader, hub, allowed=settings.export))
    app.register_blueprint(dead_letters_blueprint(reader, failures, dead_letter_queue, mask))
    app.register_blueprint(
        overview_blueprint(
            Samples(database),
            Queues(sqs, settings.queue_name),
            topic,
            health,
            fault_share,
            peers=settings.peer_addresses,
            mask=mask,
        )
    )
    app.register_blueprint(faults_blueprint(fault_share))
    app.register_blueprint(openapi_blueprint())
    add_pages(app, reader, hub, tail, settings)
    answer_problems_as_documents(app)
    guard(app, settings)
    compress(app)
    _answer_outages(app)
    _add_security_headers(app)
    return app


def _answer_outages(app: Flask) -> None:
    for error_type in DATABASE_ERRORS:

        @app.errorhandler(error_type)
        def answer_database_error(error: Exception) -> Response:
            return Problem(503, f"the database does not answer: {explain(error)}").to_response()


def _add_security_headers(app: Flask) -> None:
    @app.after_request
    def add_security_headers(response: Response) -> Response:
        response.headers.update(SECURITY_HEADERS)
        return response

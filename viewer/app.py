"""The viewer's web application: the page, and where every other route comes from."""

from typing import TYPE_CHECKING

import psycopg
from flask import Flask, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pipeline.aws import Topic
from pipeline.dead_letters import DeadLetterQueue
from pipeline.failures import FailureLog
from pipeline.faults import FaultShare
from pipeline.health import Health, health_blueprint
from pipeline.problems import Problem, answer_problems_as_documents
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.samples import Samples
from pipeline.search import EVERYTHING
from pipeline.store import Store
from viewer.api import api_blueprint
from viewer.compression import compress
from viewer.dead_letters import dead_letters_blueprint
from viewer.doors import guard
from viewer.export import export_blueprint
from viewer.faults import faults_blueprint
from viewer.formatting import clock, duration, status_label
from viewer.openapi import openapi_blueprint
from viewer.overview import overview_blueprint
from viewer.parameters import SEARCH_PARAMETERS, refuse_unknown, search
from viewer.queues import Queues
from viewer.redaction import Mask
from viewer.settings import ViewerSettings
from viewer.stream import stream_blueprint
from viewer.tail import Tail
from viewer.views import SUMMARY_FIELDS, summary_view
from viewer.waiting import Asked, look

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The schema may be missing for a moment, until the first service has created it.
READING_ERRORS = (*DATABASE_ERRORS, psycopg.errors.UndefinedTable)

ROWS = 30
# The largest message SNS takes is 256 KiB; as JSON each of its characters may take six bytes.
LARGEST_REQUEST_BYTES = 2 * 1024 * 1024

# Nothing but our own files runs or is shown, whatever a message holds.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(
    store: Store, topic: Topic, sqs: "SQSClient", *, tail: Tail, health: Health, settings: ViewerSettings
) -> Flask:
    """Return the application; everything that it talks to comes in here."""
    app = Flask(__name__, static_folder="web/static", template_folder="web/templates")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES
    app.register_blueprint(health_blueprint(health))
    failures = FailureLog(store)
    mask = Mask(settings.redacted_fields)
    app.register_blueprint(api_blueprint(store, failures, tail, topic, mask))
    app.register_blueprint(stream_blueprint(store, tail, settings))
    app.register_blueprint(export_blueprint(store, tail, allowed=settings.export))
    app.register_blueprint(openapi_blueprint())
    dead_letter_queue = DeadLetterQueue(sqs, settings.queue_name, failures)
    fault_share = FaultShare(store)
    app.register_blueprint(faults_blueprint(fault_share))
    app.register_blueprint(dead_letters_blueprint(store, failures, dead_letter_queue, mask))
    app.register_blueprint(
        overview_blueprint(
            Samples(store),
            Queues(sqs, settings.queue_name),
            topic,
            health,
            fault_share,
            peers=settings.peer_addresses,
            mask=mask,
        )
    )
    answer_problems_as_documents(app)
    guard(app, settings)
    compress(app)
    app.jinja_env.filters.update(clock=clock, duration=duration, status_label=status_label)

    @app.get("/")
    def page() -> tuple[str, int]:
        problem = None
        try:
            asked = Asked(search(), limit=ROWS)
        except Problem as wrong:
            asked, problem = Asked(EVERYTHING, limit=ROWS), wrong.detail
        away = tail.away  # what is known already need not be waited for
        if away is None:
            try:
                found = look(store, tail, asked)
            except READING_ERRORS as error:
                away = explain(error)
        if away is not None:
            return render_template("unavailable.html", reason=away), 503
        return render_template(
            "page.html",
            messages=[summary_view(message) for message in found.messages],
            newest=found.cursor,
            blank=dict.fromkeys(SUMMARY_FIELDS),
            q=request.args.get("q", ""),
            problem=problem,
            topic=topic.name,
            read_only=settings.read_only,
            export=settings.export,
            rows=ROWS,
        ), 200

    @app.get("/latest")
    def latest() -> AnyResponse:
        refuse_unknown(*SEARCH_PARAMETERS)
        found = store.find(search(), limit=1)
        if not found:
            raise Problem(404, "no message is stored that matches")
        return redirect(url_for("page", q=request.args.get("q") or None, m=found[0].seq))

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        response.headers.update(SECURITY_HEADERS)
        return response

    for error_type in READING_ERRORS:

        @app.errorhandler(error_type)
        def answer_database_error(error: Exception) -> Response:
            return Problem(503, f"the database does not answer: {explain(error)}").to_response()

    return app

"""The viewer's web application: every route, and what each of them is given."""

import threading
from typing import TYPE_CHECKING

from flask import Flask, Response, request

from pipeline.aws import Topic
from pipeline.health import Health
from pipeline.problems import Problem, answer_problems_as_documents
from pipeline.redaction import Mask
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.store.connection import Database
from pipeline.store.copies import Copies
from pipeline.store.dead_letters import FailureReader
from pipeline.store.faults import FaultShare
from pipeline.store.reader import Reader
from pipeline.store.readers import Readers
from pipeline.store.replays import Replays
from pipeline.store.searches import RETRY_SECONDS, SearchFailed
from pipeline.store.taps import Taps
from pipeline.store.topics import TopicFlows
from viewer.access.guard import guard
from viewer.access.proxies import serve_behind_proxies
from viewer.api.copying import copying_blueprint
from viewer.api.dead_letters import dead_letters_blueprint
from viewer.api.docs import DESCRIPTION, DescribedApp, docs_blueprint
from viewer.api.exact import exact_blueprint
from viewer.api.export import export_blueprint
from viewer.api.faults import faults_blueprint
from viewer.api.health import health_blueprint
from viewer.api.listing import listing_blueprint
from viewer.api.messages import latest_blueprint, messages_blueprint
from viewer.api.replays import replays_blueprint
from viewer.api.status import status_blueprint
from viewer.api.stream import stream_blueprint
from viewer.api.topology import topology_blueprint
from viewer.api.views import Views
from viewer.api.waiting import waiting_blueprint
from viewer.aws.copying import Copier
from viewer.aws.queue_inspection import Queues
from viewer.aws.reconciliation import Reconciler
from viewer.aws.redrive import DeadLetterQueues, own_dead_letter_queue
from viewer.aws.targets import Targets
from viewer.aws.topology_keeper import TopologyKeeper
from viewer.live.hub import Hub
from viewer.live.samples import Samples
from viewer.live.tail import Tail
from viewer.pages import add_pages
from viewer.replay.replayer import Replayer
from viewer.server.compression import FILES, compress
from viewer.server.unsent import bound_unsent
from viewer.settings import ViewerSettings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# SNS accepts messages of up to 256 KiB, and in JSON a character may take six bytes.
MAX_REQUEST_BYTES = 2 * 1024 * 1024

# Only files of the viewer itself are run or shown, whatever a message contains.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
# The style sheet of Swagger UI contains its icons.
DOCS_SECURITY_POLICY = f"{CONTENT_SECURITY_POLICY}; img-src 'self' data:"

HSTS_SECONDS = 365 * 86_400
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Pages of other origins can neither embed what the viewer answers nor keep hold of its windows.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def create_app(
    database: Database,
    reader: Reader,
    topic: Topic,
    sqs: "SQSClient",
    *,
    topology: TopologyKeeper,
    hub: Hub,
    tail: Tail,
    health: Health,
    settings: ViewerSettings,
    stop: threading.Event,
) -> DescribedApp:
    """Return the application."""
    app = DescribedApp(__name__, static_folder="web/static", template_folder="web/templates", **DESCRIPTION)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    mask = Mask(settings.redacted_fields)
    views = Views(mask)
    app.extensions["mask"] = mask  # which searches are checked with
    copies, targets = Copies(database), Targets(topic, sqs)
    copier, replays = Copier(targets, copies), Replays(database)
    replayer = Replayer(replays, copier, stop, mask)
    failures, faults, samples = FailureReader(database), FaultShare(database), Samples(database)
    queues, peers = Queues(sqs, settings.queue_name), settings.peer_addresses
    dead_letters = _dead_letter_queues(database, sqs, topology, settings.queue_name)
    for blueprint in (
        messages_blueprint(reader, failures, hub, topic, views),
        copying_blueprint(reader, copier),
        replays_blueprint(reader, hub, replays, replayer, targets),
        exact_blueprint(targets, copies, views),
        listing_blueprint(reader, views),
        topology_blueprint(topology, reader, TopicFlows(database), Taps(database), mask),
        waiting_blueprint(queues, views),
        latest_blueprint(reader),
        stream_blueprint(reader, hub, views, settings),
        export_blueprint(reader, hub, views, allowed=settings.export),
        dead_letters_blueprint(reader, failures, dead_letters, views),
        status_blueprint(samples, queues, topic, health, faults=faults, taps=Taps(database), peers=peers),
        faults_blueprint(faults),
        health_blueprint(health),
        docs_blueprint(app),
    ):
        app.register_api(blueprint)
    add_pages(app, reader, failures, hub, tail, topic=topic, views=views, settings=settings)
    answer_problems_as_documents(app)
    guard(app, database, settings)
    serve_behind_proxies(app, settings)
    bound_unsent(app)  # of what is compressed: what is registered later runs before
    compress(app)
    _answer_outages(app)
    _add_security_headers(app)
    return app


def _dead_letter_queues(
    database: Database, sqs: "SQSClient", topology: TopologyKeeper, own_queue: str
) -> DeadLetterQueues:
    failures, readers = FailureReader(database), Readers(database)

    def is_read(queue: str) -> bool:
        return queue == own_queue or queue in readers.queues()

    own = own_dead_letter_queue(
        sqs, own_queue, failures, Reconciler(Queues(sqs, own_queue), failures), is_read=is_read
    )
    return DeadLetterQueues(sqs, own, own_queue, failures, is_read=is_read, topology=lambda: topology.current)


def _answer_outages(app: Flask) -> None:
    for error_type in DATABASE_ERRORS:

        @app.errorhandler(error_type)
        def answer_database_error(error: Exception) -> Response:
            return Problem(503, f"the database does not answer: {explain(error)}").to_response()

    @app.errorhandler(SearchFailed)
    def answer_failed_search(error: SearchFailed) -> Response:
        return Problem(503, str(error), retry_after=RETRY_SECONDS).to_response()


def _add_security_headers(app: Flask) -> None:
    @app.after_request
    def add_security_headers(response: Response) -> Response:
        is_docs = request.endpoint == "docs.page"
        policy = DOCS_SECURITY_POLICY if is_docs else CONTENT_SECURITY_POLICY
        response.headers["Content-Security-Policy"] = policy
        response.headers.update(SECURITY_HEADERS)
        if request.is_secure and not _is_on_this_machine():
            response.headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
        if request.endpoint not in FILES:
            response.headers["Cache-Control"] = "no-store"
        return response


def _is_on_this_machine() -> bool:
    """Tell whether the request is to localhost, whose other ports would be cut off from HTTP as well."""
    host: str = request.environ.get("HTTP_HOST", "")
    return host.partition(":")[0].lower().rstrip(".") == "localhost"

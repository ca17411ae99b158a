"""The HTTP service: shows pages with their numbers of visits, and publishes each view."""

import logging
import socket

from flask import Flask, Response, render_template, request
from prometheus_client import Counter

from examples.visits.counts import Visits
from examples.visits.views import new_view
from pipeline.aws import Topic
from pipeline.health import Health, health_blueprint
from pipeline.problems import Problem, answer_problems_as_documents
from pipeline.retry import AWS_ERRORS, DATABASE_ERRORS, explain

PAGES = ("home", "products", "contact")

PUBLISHED = Counter("visits_published", "Views that SNS has taken")
UNPUBLISHED = Counter("visits_unpublished", "Views that SNS did not take, so that they are not counted")

log = logging.getLogger(__name__)


def create_app(topic: Topic, visits: Visits, health: Health) -> Flask:
    """Return the application. It keeps nothing itself, so that any number of replicas show the same."""
    app = Flask(__name__)
    app.register_blueprint(health_blueprint(health))
    answer_problems_as_documents(app)

    @app.get("/", defaults={"page": "home"})
    @app.get("/<page>")
    def show(page: str) -> str:
        if page not in PAGES:
            raise Problem(404, "there is no such page")
        if request.method == "GET":  # not HEAD, which views nothing
            publish_view(topic, page)
        return render_template("page.html", page=page, pages=PAGES, replica=socket.gethostname())

    @app.get("/api/visits")
    def tell() -> dict[str, int]:
        try:
            numbers = visits.read()
        except DATABASE_ERRORS as error:
            log.warning("numbers not read", extra={"reason": explain(error)})
            raise Problem(503, "the numbers cannot be read now", retry_after=5) from None
        return {page: numbers.get(page, 0) for page in PAGES}

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"  # a view that no request tells of is not counted
        return response

    return app


def publish_view(topic: Topic, page: str) -> None:
    """Publish one view. If AWS is away the page is shown all the same, and the view is not counted."""
    view = new_view(page, request.user_agent.string)
    try:
        refused = [reason for _, reason in topic.publish([view])]
    except AWS_ERRORS as error:
        refused = [explain(error)]
    UNPUBLISHED.inc(len(refused))
    PUBLISHED.inc(1 - len(refused))
    for reason in refused:
        log.warning("view not published", extra={"message_id": view.id, "page": page, "reason": reason})

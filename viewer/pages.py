"""The pages for people: `/`, and `/latest`, which leads to one message of it."""

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from pipeline.problems import Problem
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.search.sql import EVERYTHING
from pipeline.store.reader import Reader
from viewer.api.models import SUMMARY_FIELDS, summary_view
from viewer.api.parameters import SEARCH_PARAMETERS, refuse_unknown, search
from viewer.formatting import clock, duration, status_label
from viewer.live.hub import Hub
from viewer.live.long_poll import Asked, look
from viewer.live.tail import Tail
from viewer.settings import ViewerSettings

ROWS = 30


def add_pages(app: Flask, reader: Reader, hub: Hub, tail: Tail, settings: ViewerSettings) -> None:
    """Add the pages to the app."""
    app.jinja_env.filters.update(clock=clock, duration=duration, status_label=status_label)

    @app.get("/")
    def page() -> tuple[str, int]:
        problem = None
        try:
            asked = Asked(search(), limit=ROWS)
        except Problem as wrong:
            asked, problem = Asked(EVERYTHING, limit=ROWS), wrong.detail
        away = tail.away  # asking again would take as long as a time-out
        if away is None:
            try:
                found = look(reader, hub, asked)
            except DATABASE_ERRORS as error:
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
            topic=settings.topic_name,
            read_only=settings.read_only,
            export=settings.export,
            rows=ROWS,
        ), 200

    @app.get("/latest")
    def latest() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS)
        found = reader.find(search(), limit=1)
        if not found:
            raise Problem(404, "no message is stored that matches")
        return redirect(url_for("page", q=request.args.get("q") or None, m=found[0].seq))

"""The page for people: `/`."""

import json
import re
from dataclasses import dataclass, fields
from typing import Any

from flask import Flask, render_template, request
from pydantic import ConfigDict

from pipeline.aws import Topic
from pipeline.problems import Problem
from pipeline.retry import DATABASE_ERRORS, explain
from pipeline.search.sql import EVERYTHING
from pipeline.store.dead_letters import FailureReader
from pipeline.store.reader import Reader
from pipeline.store.searches import SearchFailed
from viewer.api.answers import to_json
from viewer.api.checks import check
from viewer.api.models import Absent, Cursor, MessageSummary, SearchQuery
from viewer.api.views import Views
from viewer.formatting import clock, duration, gaps, status_label, visible
from viewer.live.hub import Hub
from viewer.live.long_poll import Asked, Found, look
from viewer.live.tail import Tail
from viewer.settings import ViewerSettings

ROWS = 30
MAX_LETTERS = 100
TABS = ("topics", "dead", "queues", "metrics", "publish", "replay")  # besides the messages
OLD_TABS = {"waiting": "queues"}
EMULATED_ACCOUNT = "000000000000"
EMULATOR_PORT = 4566  # what awslocal uses
# The row that the page's script copies.
BLANK = {field.name: None for field in fields(MessageSummary)} | {"gap": None}


class PageQuery(SearchQuery):
    """The search in the address. What else is in it belongs to the page's script."""

    before: Cursor | Absent = None

    model_config = ConfigDict(extra="ignore")


def add_pages(
    app: Flask,
    reader: Reader,
    failures: FailureReader,
    hub: Hub,
    tail: Tail,
    *,
    topic: Topic,
    views: Views,
    settings: ViewerSettings,
) -> None:
    """Add the page to the app."""
    app.jinja_env.filters.update(clock=clock, duration=duration, status_label=status_label, visible=visible)

    @app.route("/")
    def page() -> tuple[str, int]:
        problem, asked = None, Asked(EVERYTHING, limit=ROWS)
        try:
            query = check(PageQuery, request.args.to_dict())
            asked = Asked(query.search, limit=ROWS, before=query.before)
        except Problem as wrong:
            problem = wrong.detail
        away = tail.away  # asking again would take as long as a time-out
        if away is None:
            try:
                found, problem = _look(reader, hub, asked, problem)
                more = _without_script(reader, failures, views)
            except DATABASE_ERRORS as error:
                away = explain(error)
        if away is not None:
            return render_template("unavailable.html", reason=away), 503
        messages = json.loads(to_json(views.summaries(found.messages)))
        for message, gap in zip(messages, gaps([one["time"] for one in messages]), strict=True):
            message["gap"] = gap
        return render_template(
            "page.html",
            messages=messages,
            newest=found.cursor,
            blank=BLANK,
            q=request.args.get("q", ""),
            problem=problem,
            topic=settings.topic_name,
            publish=publishing(topic),
            read_only=settings.why_read_only,
            export=settings.export,
            rows=ROWS,
            **more,
        ), 200


@dataclass(frozen=True, slots=True)
class Publishing:
    """How a shell publishes to the topic: a command that lacks the message; `endpoint` is "" on AWS."""

    command: str
    arn: str
    endpoint: str


def publishing(topic: Topic) -> Publishing:
    """Return how a shell publishes to the topic, as far as is known without asking AWS."""
    is_aws = topic.endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    account = "$(aws sts get-caller-identity --query Account --output text)" if is_aws else EMULATED_ACCOUNT
    arn = topic.known_arn or f"arn:aws:sns:{topic.region}:{account}:{topic.name}"
    cli = f"aws --endpoint-url {topic.endpoint}"
    if is_aws:
        cli = "aws"
    elif topic.endpoint.endswith(f":{EMULATOR_PORT}"):
        cli = "awslocal"
    return Publishing(f"{cli} sns publish --topic-arn {arn}", arn, "" if is_aws else topic.endpoint)


def _without_script(reader: Reader, failures: FailureReader, views: Views) -> dict[str, Any]:
    """Return what the address asks for besides the list: a message, or another view."""
    tab, seq = request.args.get("tab", ""), request.args.get("m", "")
    tab = OLD_TABS.get(tab, tab)
    more: dict[str, Any] = {"tab": tab if tab in TABS else "", "message": None, "letters": []}
    if re.fullmatch(r"[0-9]{1,18}", seq) and (message := reader.get(int(seq))):
        more["message"] = json.loads(to_json(views.whole(message)))
    if tab == "dead":
        letters = [views.dead_letter(letter) for letter in failures.dead_letters(MAX_LETTERS)]
        more["letters"] = json.loads(to_json(letters))
    return more


def _look(reader: Reader, hub: Hub, asked: Asked, problem: str | None) -> tuple[Found, str | None]:
    """Return the rows and what is wrong with the search; one that costs too much finds nothing."""
    try:
        return look(reader, hub, asked), problem
    except SearchFailed as error:
        return Found([], hub.newest_stored()), str(error)

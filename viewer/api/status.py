"""The whole at a glance: `GET /api/pipeline`, `/api/stats` and `/api/waiting`."""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request

from pipeline.aws import Topic
from pipeline.health import Health
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store.faults import FaultShare
from pipeline.ttl_cache import TtlCache
from viewer.api.models import json_answer, plain
from viewer.api.parameters import refuse_unknown
from viewer.aws.fetching import FetchError, fetch_json
from viewer.aws.queue_inspection import CannotLook, Depth, Queues
from viewer.live.samples import Samples
from viewer.redaction import Mask

# However many pages look, each figure is asked for once in so many seconds.
FRESH_SECONDS = 2.0
PEER_TIMEOUT_SECONDS = 2.0
BODY_SHOWN = 10_000

# What can be asked for: its length, and the width of one point.
WINDOWS = {
    "5m": (timedelta(minutes=5), timedelta(seconds=5)),
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(days=1), timedelta(minutes=15)),
}


def overview_blueprint(
    samples: Samples,
    queues: Queues,
    topic: Topic,
    health: Health,
    faults: FaultShare,
    *,
    peers: Mapping[str, str],
    mask: Mask,
) -> Blueprint:
    """Return the three; `peers` are the addresses of the other services by their names.

    Messages go through `mask`.
    """
    blueprint = Blueprint("overview", __name__, url_prefix="/api")
    figures = TtlCache(samples.figures, FRESH_SECONDS)
    stages = TtlCache(lambda: {"topic": _topic(topic), **_depths(queues)}, FRESH_SECONDS)
    states = TtlCache(lambda: _states(peers), FRESH_SECONDS)
    fault_share = TtlCache(faults.read, FRESH_SECONDS)

    @blueprint.get("/pipeline")
    def pipeline() -> Response:
        refuse_unknown()
        liveness, status = health.liveness()
        viewer = {"state": "up" if status == 200 else "down", "reason": liveness.get("reason")}
        return json_answer(
            {
                "services": {**states(), "viewer": viewer},
                **stages(),
                "store": plain(figures()),
                "faults": None if fault_share() is None else {"fail": fault_share()},
            }
        )

    @blueprint.get("/stats")
    def stats() -> Response:
        refuse_unknown("window")
        name = request.args.get("window", "5m")
        if name not in WINDOWS:
            raise Problem(400, f"window should be one of {', '.join(WINDOWS)}", parameter="window")
        length, width = WINDOWS[name]
        begin = datetime.fromtimestamp(
            (datetime.now(UTC) - length).timestamp() // width.total_seconds() * width.total_seconds(), UTC
        )
        points = samples.read(begin, width)
        return json_answer(
            {
                "window": name,
                "begin": plain(begin),
                "width_seconds": width.total_seconds(),
                "now": plain(figures()),
                "points": [plain(point) for point in points],
            }
        )

    @blueprint.get("/waiting")
    def waiting() -> Response:
        refuse_unknown()
        try:
            queue, _ = queues.depths()
            return json_answer({"queue": dataclasses.asdict(queue), **_look(queues, queue, mask)})
        except AWS_ERRORS as error:
            raise Problem(503, f"SQS does not answer: {explain(error)}") from None

    return blueprint


def _topic(topic: Topic) -> dict[str, Any]:
    try:
        topic.check()
    except AWS_ERRORS as error:
        return {"name": topic.name, "state": "unknown", "reason": explain(error)}
    return {"name": topic.name, "state": "up", "reason": None}


def _depths(queues: Queues) -> dict[str, Any]:
    try:
        queue, dead = queues.depths()
    except AWS_ERRORS as error:
        unknown = {"name": queues.name, "state": "unknown", "reason": explain(error)}
        return {"queue": unknown, "dead_letter_queue": None}
    return {"queue": _depth_view(queue), "dead_letter_queue": dead and _depth_view(dead)}


def _depth_view(depth: Depth) -> dict[str, Any]:
    return {**dataclasses.asdict(depth), "state": "up", "reason": None}


def _states(peers: Mapping[str, str]) -> dict[str, Any]:
    if not peers:
        return {}
    with ThreadPoolExecutor(len(peers)) as pool:
        return dict(zip(peers, pool.map(_state, peers.values()), strict=True))


def _state(address: str) -> dict[str, Any]:
    """Return up, degraded (it lives, but something that it needs does not) or down, with the reason."""
    try:
        status, document = fetch_json(f"{address}/health?probe=readiness", PEER_TIMEOUT_SECONDS)
    except FetchError as error:
        return {"state": "down", "reason": str(error)}
    if status == 200:
        return {"state": "up", "reason": None}
    if not isinstance(document, dict):
        return {"state": "down", "reason": f"{address} answers with status {status}"}
    failed = [f"{name}: {outcome}" for name, outcome in document.get("checks", {}).items() if outcome != "ok"]
    return {"state": "degraded", "reason": "; ".join(failed) or document.get("reason")}


def _look(queues: Queues, queue: Depth, mask: Mask) -> dict[str, Any]:
    try:
        found = queues.look(queue)
    except (CannotLook, FetchError) as error:
        return {"messages": None, "reason": explain(error)}
    views = [plain(mask.waiting(message)) for message in found]
    for view in views:
        view["size"] = len(view["body"].encode("utf-8", "surrogatepass"))
        view["body"] = view["body"][:BODY_SHOWN]
    return {"messages": views, "reason": None}

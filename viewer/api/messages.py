"""The HTTP API: list, read and publish messages."""

from typing import Any

from flask import Blueprint, Response, request

from pipeline.aws import Topic
from pipeline.problems import Problem
from pipeline.store.dead_letters import FailureReader
from pipeline.store.reader import Reader
from viewer.api.copies import copy_links
from viewer.api.models import json_answer, near_miss_view, plain, summary_view, whole_view
from viewer.api.parameters import SEARCH_PARAMETERS, cursor, flag, number, refuse_unknown, search
from viewer.api.publish import message_from_request, publish
from viewer.live.hub import Hub
from viewer.live.long_poll import Asked, near_misses, wait_for
from viewer.redaction import Mask

MOST_LISTED = 500
LONGEST_WAIT_SECONDS = 60


def api_blueprint(reader: Reader, failures: FailureReader, hub: Hub, topic: Topic, mask: Mask) -> Blueprint:
    """Return `/api/messages` and what is below it; errors of handlers go through `mask`."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/messages")

    @blueprint.get("")
    def list_messages() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS, "limit", "before", "after", "wait", "count")
        count = number("count", default=1, most=MOST_LISTED)
        asked = Asked(
            search=search(),
            limit=max(count, number("limit", default=50, most=MOST_LISTED)),
            before=cursor("before", request.args.get("before")),
            after=_after(hub),
        )
        seconds = number("wait", default=0, least=0, most=LONGEST_WAIT_SECONDS)
        found = wait_for(reader, hub, asked, count, seconds)
        answer: dict[str, Any] = {
            "messages": [summary_view(message) for message in found.messages],
            "cursor": found.cursor,
        }
        if seconds and len(found.messages) < count:
            answer["near_misses"] = [near_miss_view(miss) for miss in near_misses(reader, asked)]
        return json_answer(answer)

    @blueprint.get("/facets")
    def count_values() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS)
        facets = reader.facets(search())
        values = {
            name: [{"value": value, "count": count} for value, count in counts]
            for name, counts in facets.values.items()
        }
        return json_answer({"counted": facets.counted, "complete": facets.complete, "facets": values})

    @blueprint.get("/statuses")
    def list_statuses() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS, "after", "before")
        after, before = (cursor(name, request.args.get(name)) for name in ("after", "before"))
        found = reader.find(search(), limit=MOST_LISTED, after=after, before=before)
        statuses = [
            {"seq": message.seq, "status": message.status, "tries": message.tries}
            for message in found
            if message.status
        ]
        return json_answer({"from": found[-1].seq if found else 0, "statuses": statuses})

    @blueprint.delete("")
    def delete_messages() -> Response:
        refuse_unknown(*SEARCH_PARAMETERS, "all")
        wanted = search()
        if not wanted.conditions and not flag("all"):
            raise Problem(400, "q should say what to delete; all=1 deletes everything", parameter="q")
        deleted = reader.delete(wanted)
        hub.forget()
        return json_answer({"deleted": deleted})

    @blueprint.get("/<int:seq>")
    def read_message(seq: int) -> Response:
        refuse_unknown()
        message = reader.get(seq)
        if message is None:
            raise Problem(404, f"no message {seq} is stored")
        return json_answer(
            {
                **whole_view(message),
                "deliveries": [plain(mask.delivery(one)) for one in failures.deliveries(seq)],
                "outcomes": [plain(outcome) for outcome in failures.outcomes(seq)],
                **copy_links(reader, failures, message),
            }
        )

    @blueprint.get("/<int:seq>/body")
    def download_body(seq: int) -> Response:
        refuse_unknown()
        message = reader.get(seq)
        if message is None:
            raise Problem(404, f"no message {seq} is stored")
        # As text whatever it holds, and as a file: no browser opens it as a page of ours.
        name = f"attachment; filename=message-{seq}.txt"
        return Response(message.body, mimetype="text/plain", headers={"Content-Disposition": name})

    @blueprint.post("")
    def publish_message() -> Response:
        refuse_unknown()
        message, attributes = message_from_request()
        publish(topic, message, attributes)
        return json_answer({"id": message.id, "source": message.source}, 202)

    return blueprint


def _after(hub: Hub) -> int | None:
    """Return the cursor `after`; `now` is the newest there is."""
    value = request.args.get("after")
    return hub.newest_stored() if value == "now" else cursor("after", value)

"""Dead letters: `GET /api/dead-letters` with their reasons, `POST /api/dead-letters/redrive` to try again."""

import json

from flask import Blueprint, Response, request

from pipeline.dead_letters import DeadLetterQueue, NoDeadLetterQueue
from pipeline.failures import FailureLog
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from viewer.parameters import number, refuse_unknown
from viewer.redaction import Mask
from viewer.views import json_answer, plain

MOST_LISTED = 1000
MOST_CHOSEN = 1000


def dead_letters_blueprint(failures: FailureLog, queue: DeadLetterQueue, mask: Mask) -> Blueprint:
    """Return both; what is listed goes through `mask`."""
    blueprint = Blueprint("dead_letters", __name__, url_prefix="/api/dead-letters")

    @blueprint.get("")
    def list_dead_letters() -> Response:
        refuse_unknown("limit")
        found = failures.dead_letters(number("limit", default=100, most=MOST_LISTED))
        return json_answer({"dead_letters": [plain(mask.letter(letter)) for letter in found]})

    @blueprint.post("/redrive")
    def redrive() -> Response:
        refuse_unknown()
        chosen = _chosen()
        try:
            if chosen is None:
                queue.redrive_all()
                return json_answer({"redriven": None}, 202)
            return json_answer({"redriven": queue.redrive(chosen)})
        except NoDeadLetterQueue as error:
            raise Problem(409, str(error)) from None
        except AWS_ERRORS as error:
            raise Problem(503, f"SQS does not redrive now: {explain(error)}") from None

    return blueprint


def _chosen() -> list[str] | None:
    """Return the SQS ids of `{"message_ids": […]}`, None for `{"all": true}`."""
    if request.mimetype != "application/json":
        raise Problem(415, "Content-Type should be application/json")
    try:
        document = json.loads(request.get_data(as_text=True))
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if document == {"all": True}:
        return None
    chosen = document.get("message_ids") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(chosen, list) or not 0 < len(chosen) <= MOST_CHOSEN:
        raise Problem(400, 'the body should be {"message_ids": ["…"]} or {"all": true}')
    if not all(isinstance(one, str) for one in chosen):
        raise Problem(400, "message_ids should be texts", parameter="message_ids")
    return chosen

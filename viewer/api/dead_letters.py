"""Dead letters: `/api/dead-letters` lists them with their reasons, `…/redrive` sends them back."""

import contextlib
from collections.abc import Iterator

from flask import Blueprint, Response

from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store.dead_letters import FailureReader
from pipeline.store.reader import Reader
from viewer.api.copies import copy_links
from viewer.api.models import json_answer, plain
from viewer.api.parameters import json_body, number, refuse_unknown
from viewer.aws.redrive import MAX_PER_SECOND, DeadLetterQueue, NoDeadLetterQueue, RedriveRefused
from viewer.redaction import Mask

MOST_LISTED = 1000
MOST_CHOSEN = 1000
WHAT = 'the body should be {"message_ids": ["…"]} or {"all": true}'


def dead_letters_blueprint(
    reader: Reader, failures: FailureReader, queue: DeadLetterQueue, mask: Mask
) -> Blueprint:
    """Return all of them; what is listed goes through `mask`."""
    blueprint = Blueprint("dead_letters", __name__, url_prefix="/api/dead-letters")

    @blueprint.get("")
    def list_dead_letters() -> Response:
        refuse_unknown("limit")
        found = failures.dead_letters(number("limit", default=100, most=MOST_LISTED))
        return json_answer({"dead_letters": [plain(mask.letter(letter)) for letter in found]})

    @blueprint.get("/<message_id>")
    def read_dead_letter(message_id: str) -> Response:
        refuse_unknown()
        letter = failures.dead_letter(message_id)
        if letter is None:
            raise Problem(404, f"no dead letter has the SQS id {message_id}")
        links = copy_links(reader, failures, letter)
        return json_answer({**plain(mask.whole_letter(letter)), **links})

    @blueprint.get("/redrive")
    def watch_redrive() -> Response:
        refuse_unknown()
        with _answering():
            name, waiting = queue.waiting()
            places = {"from": name, "to": queue.queue_name, "waiting": waiting}
            return json_answer({**places, "redrive": plain(queue.progress())})

    @blueprint.post("/redrive")
    def redrive() -> Response:
        refuse_unknown()
        chosen, per_second = _chosen()
        with _answering():
            return json_answer({"redrive": plain(queue.redrive(chosen, per_second))}, 202)

    @blueprint.delete("/redrive")
    def cancel_redrive() -> Response:
        refuse_unknown()
        with _answering():
            return json_answer({"redrive": plain(queue.cancel())}, 202)

    return blueprint


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn what the queue raises into answers."""
    try:
        yield
    except (NoDeadLetterQueue, RedriveRefused) as error:
        raise Problem(409, str(error)) from None
    except AWS_ERRORS as error:
        raise Problem(503, f"SQS does not redrive now: {explain(error)}") from None


def _chosen() -> tuple[list[str] | None, int | None]:
    """Return the SQS ids of `{"message_ids": […]}`, None for `{"all": true}`, and `per_second` of either."""
    document = json_body()
    if not isinstance(document, dict):
        raise Problem(400, WHAT)
    per_second = document.pop("per_second", None)
    if per_second is not None and not (type(per_second) is int and 0 < per_second <= MAX_PER_SECOND):
        detail = f"per_second should be a whole number from 1 to {MAX_PER_SECOND}"
        raise Problem(400, detail, parameter="per_second")
    if document == {"all": True}:
        return None, per_second
    chosen = document.get("message_ids") if len(document) == 1 else None
    if not isinstance(chosen, list) or not 0 < len(chosen) <= MOST_CHOSEN:
        raise Problem(400, WHAT)
    if not all(isinstance(one, str) for one in chosen):
        raise Problem(400, "message_ids should be texts", parameter="message_ids")
    return chosen, per_second

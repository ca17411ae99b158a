"""`PUT /api/faults`: lets a share of the messages fail, to watch retries, where consumers have FAULTS."""

from flask import Blueprint, Response

from pipeline.problems import Problem
from pipeline.store.faults import FaultShare
from viewer.api.models import json_answer
from viewer.api.parameters import json_body, refuse_unknown


def faults_blueprint(share: FaultShare) -> Blueprint:
    """Return it; what the share is, `/api/pipeline` says."""
    blueprint = Blueprint("faults", __name__)

    @blueprint.put("/api/faults")
    def choose_share() -> Response:
        refuse_unknown()
        document = json_body()
        fail = document.get("fail") if isinstance(document, dict) and len(document) == 1 else None
        if isinstance(fail, bool) or not isinstance(fail, int | float) or not 0 <= fail <= 1:
            raise Problem(400, 'the body should be {"fail": share}, from 0 to 1', parameter="fail")
        if not share.choose(fail):
            raise Problem(409, "no consumer runs with FAULTS")
        return json_answer({"fail": fail})

    return blueprint

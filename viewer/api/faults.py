"""Faults: `PUT /api/faults` chooses the share of messages that fail on purpose, to watch retries."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from pipeline.problems import Problem
from pipeline.store.faults import FaultShare
from viewer.api.blueprint import ApiBlueprint, problems
from viewer.api.checks import Body

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="from none, 0, to all, 1")]


class FaultsBody(Body):
    """The share of messages to fail."""

    fail: Share

    model_config = ConfigDict(json_schema_extra={"example": {"fail": 0.2}})


@dataclass(slots=True)
class Faults:
    """The share of messages that fail."""

    fail: Share

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"fail": 0.2}})


def faults_blueprint(share: FaultShare) -> ApiBlueprint:
    """Return `/api/faults`. The share is in the answer of `/api/pipeline`."""
    blueprint = ApiBlueprint("faults", __name__, about="Failures on purpose", prefix="/api/faults")

    @blueprint.put("", responses=problems(409))
    def choose_share(body: FaultsBody) -> Faults:
        """Choose the share of messages that fail on purpose.

        Messages chosen by chance fail at every attempt, where consumers run with FAULTS: `/api/pipeline` says
        whether any does, and the share.
        """
        if not share.choose(body.fail):
            raise Problem(409, "no consumer runs with FAULTS")
        return Faults(body.fail)

    return blueprint

"""Health and metrics, as every service has them, described for the viewer."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import ConfigDict, Field

from pipeline.health import Health, answer_metrics, answer_probe
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint, Responses, problems, text
from viewer.api.checks import Parameters


class ProbeQuery(Parameters):
    """Which probe."""

    model_config = ConfigDict(extra="ignore")

    probe: Literal["liveness", "readiness"] = Field("liveness", description="which probe")


@dataclass(slots=True)
class HealthState:
    """Whether the viewer lives, or can serve."""

    status: Literal["UP!", "DOWN!"]
    reason: str = ""
    checks: Annotated[
        dict[str, str] | None, Field(description="what each dependency says, with `probe=readiness`")
    ] = None

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": {"status": "UP!"}})


def health_blueprint(health: Health) -> ApiBlueprint:
    """Return `/health` and `/metrics`."""
    blueprint = ApiBlueprint("health", __name__, about="For Kubernetes and Prometheus", common=(400,))
    for_everybody: dict[str, Any] = {"security": []}
    states: Responses = {200: HealthState, 503: HealthState}

    @blueprint.get("/health", responses=states, openapi_extensions=for_everybody)
    def answer(query: ProbeQuery) -> Response:
        """Ask whether the viewer lives, or can serve.

        Liveness checks the viewer's own loops, readiness also the database. Needs no token.
        """
        return answer_probe(health, query.probe)

    @blueprint.get(
        "/metrics",
        responses={
            **text("text/plain", "in the format of Prometheus", examples.METRICS),
            **problems(421),
        },
        openapi_extensions=for_everybody,
    )
    def metrics() -> Response:
        """Read metrics.

        Counters and gauges of this process, and what readiness checks. Needs no token.
        """
        return answer_metrics(health)

    return blueprint

"""Status: the state of each stage, and figures over time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from botocore.exceptions import ClientError
from pydantic import ConfigDict, Field

from pipeline.aws import Topic, TopicNotFound
from pipeline.health import Health
from pipeline.problems import Problem
from pipeline.retry import AWS_ERRORS, explain
from pipeline.store.faults import FaultShare
from pipeline.store.taps import Taps
from pipeline.timely import NoAnswer, Timely
from viewer.api import examples
from viewer.api.blueprint import ApiBlueprint
from viewer.api.checks import Parameters
from viewer.api.faults import Faults
from viewer.api.models import Count
from viewer.aws.fetching import FetchError, fetch_json
from viewer.aws.queue_inspection import Queues
from viewer.live.samples import Figures, Sample, Samples

# However many pages ask, each figure is read once in this time.
FRESH_SECONDS = 1.0
# A page is told within five seconds what does not answer.
DEADLINE_SECONDS = 2.0
READINESS_SECONDS = 1.2
LIVENESS_SECONDS = 0.6
MISSING_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

# What can be asked for: its length, and the width of one point.
WINDOWS = {
    "5m": (timedelta(minutes=5), timedelta(seconds=5)),
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(days=1), timedelta(minutes=15)),
}


class StatsQuery(Parameters):
    """How far back."""

    window: Literal["5m", "1h", "24h"] = Field("5m", description="how far back")


@dataclass(slots=True)
class State:
    """The state of a service."""

    state: Literal["up", "degraded", "down"]
    reason: str | None


@dataclass(slots=True)
class TopicState:
    """The state of the topic."""

    name: str
    state: Annotated[
        Literal["up", "unknown", "missing"],
        Field(description="unknown: SNS did not say; missing: there is none"),
    ]
    reason: str | None


@dataclass(slots=True)
class QueueState:
    """About how many messages a queue holds."""

    name: str
    visible: Count
    in_flight: Count
    delayed: Count
    state: Literal["up"] = "up"
    reason: None = None


@dataclass(slots=True)
class UnknownQueue:
    """A queue that SQS does not answer for."""

    name: str
    state: Annotated[
        Literal["unknown", "missing"], Field(description="unknown: SQS did not say; missing: there is none")
    ]
    reason: str


@dataclass(slots=True)
class Tap:
    """What a consumer with WATCH watches."""

    queue: Annotated[str, Field(description="the tap's own")]
    topics: Annotated[list[str], Field(description="names of topics that are subscribed to it")]
    left_out: Annotated[list[str], Field(description="topics that lead to a queue which is read anyway")]
    problems: Annotated[list[str], Field(description="what could not be done, a line each")]


@dataclass(slots=True)
class Pipeline:
    """The state of each stage."""

    services: Annotated[dict[str, State], Field(description="by their names")]
    topic: Annotated[TopicState | None, Field(description="null: the queue is that of a tap")]
    queue: QueueState | UnknownQueue
    dead_letter_queue: QueueState | None
    store: Figures
    faults: Annotated[Faults | None, Field(description="null: no consumer runs with FAULTS")]
    taps: Annotated[list[Tap], Field(description="empty: no consumer runs with WATCH")]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.PIPELINE})


@dataclass(slots=True)
class Stats:
    """Figures over time, oldest first."""

    window: str
    begin: datetime
    width_seconds: Annotated[float, Field(description="of one point")]
    now: Figures
    points: Sequence[Sample]

    __pydantic_config__ = ConfigDict(json_schema_extra={"example": examples.STATS})


@dataclass(slots=True)
class AwsStages:
    """The stages that AWS knows about."""

    topic: TopicState
    queue: QueueState | UnknownQueue
    dead_letter_queue: QueueState | None


def status_blueprint(
    samples: Samples,
    queues: Queues,
    topic: Topic,
    health: Health,
    *,
    faults: FaultShare,
    taps: Taps,
    peers: Mapping[str, str],
) -> ApiBlueprint:
    """Return `/api/pipeline` and `/api/stats`.

    `peers` are the addresses of the other services by their names.
    """
    blueprint = ApiBlueprint("status", __name__, about="The pipeline at a glance", prefix="/api")
    figures = Timely(samples.figures, FRESH_SECONDS, DEADLINE_SECONDS)
    topic_state = Timely(lambda: _topic(topic), FRESH_SECONDS, DEADLINE_SECONDS)
    queue_states = Timely(lambda: _queues(queues), FRESH_SECONDS, DEADLINE_SECONDS)
    states = Timely(lambda: _states(peers), FRESH_SECONDS, DEADLINE_SECONDS)
    fault_share = Timely(faults.read, FRESH_SECONDS, DEADLINE_SECONDS)
    watched = Timely(taps.read, FRESH_SECONDS, DEADLINE_SECONDS)

    def stages() -> AwsStages:
        try:
            queue, dead = queue_states()
        except NoAnswer as error:
            queue, dead = UnknownQueue(queues.name, "unknown", f"SQS gave {error}"), None
        try:
            return AwsStages(topic_state(), queue, dead)
        except NoAnswer as error:
            return AwsStages(TopicState(topic.name, "unknown", f"SNS gave {error}"), queue, dead)

    @blueprint.get("/pipeline")
    def pipeline() -> Pipeline:
        """See each stage of the pipeline.

        The services, the topic, the queues and the store, as they were a moment ago. What does not answer in
        two seconds is unknown.
        """
        for one in (figures, fault_share, watched, topic_state, queue_states, states):
            one.start()  # all at once
        try:
            store, share, kept = figures(), fault_share(), watched()
        except NoAnswer as error:
            raise Problem(503, f"the database does not answer: {error}") from None
        try:
            services = states()
        except NoAnswer as error:
            services = {name: State("degraded", str(error)) for name in peers}
        aws = stages()
        return Pipeline(
            services={**services, "viewer": _own_state(health)},
            topic=None if any(tap.queue == queues.name for tap in kept) else aws.topic,
            queue=aws.queue,
            dead_letter_queue=aws.dead_letter_queue,
            store=store,
            faults=None if share is None else Faults(share),
            taps=[Tap(**asdict(tap)) for tap in kept],
        )

    @blueprint.get("/stats")
    def stats(query: StatsQuery) -> Stats:
        """Read figures over time.

        One point for each stretch of the window in which samples were taken.
        """
        length, width = WINDOWS[query.window]
        seconds = width.total_seconds()
        begin = (datetime.now(UTC) - length).timestamp() // seconds * seconds
        since = datetime.fromtimestamp(begin, UTC)
        try:
            return Stats(query.window, since, seconds, figures(), samples.read(since, width))
        except NoAnswer as error:
            raise Problem(503, f"the database does not answer: {error}") from None

    return blueprint


def _queues(queues: Queues) -> tuple[QueueState | UnknownQueue, QueueState | None]:
    try:
        queue, dead = queues.depths()
    except ClientError as error:
        if error.response["Error"]["Code"] not in MISSING_QUEUE:
            return UnknownQueue(queues.name, "unknown", explain(error)), None
        return UnknownQueue(queues.name, "missing", f"SQS queue {queues.name} does not exist"), None
    except AWS_ERRORS as error:
        return UnknownQueue(queues.name, "unknown", explain(error)), None
    return QueueState(**asdict(queue)), QueueState(**asdict(dead)) if dead else None


def _topic(topic: Topic) -> TopicState:
    try:
        topic.check()
    except TopicNotFound as error:
        return TopicState(topic.name, "missing", explain(error))
    except AWS_ERRORS as error:
        return TopicState(topic.name, "unknown", explain(error))
    return TopicState(topic.name, "up", None)


def _own_state(health: Health) -> State:
    answer, status = health.liveness()
    return State("up" if status == 200 else "down", answer.get("reason"))


def _states(peers: Mapping[str, str]) -> dict[str, State]:
    if not peers:
        return {}
    with ThreadPoolExecutor(len(peers)) as pool:
        return dict(zip(peers, pool.map(_state, peers.values()), strict=True))


def _state(address: str) -> State:
    """Return up, degraded (it lives, but a dependency does not work) or down, with the reason."""
    try:
        status, document = fetch_json(f"{address}/health?probe=readiness", READINESS_SECONDS)
    except FetchError as error:
        return _state_of_unready(address, error)
    if status == 200:
        return State("up", None)
    if not isinstance(document, dict):
        return State("down", f"{address} answers with status {status}")
    failed = [f"{name}: {outcome}" for name, outcome in document.get("checks", {}).items() if outcome != "ok"]
    return State("degraded", "; ".join(failed) or document.get("reason"))


def _state_of_unready(address: str, error: FetchError) -> State:
    """Return the state of a service that does not say whether it is ready: it may wait for a dependency."""
    try:
        status, _ = fetch_json(f"{address}/health", LIVENESS_SECONDS)
    except FetchError:
        return State("down", str(error))
    return State("degraded" if status == 200 else "down", "it lives, but waits for AWS or the database")

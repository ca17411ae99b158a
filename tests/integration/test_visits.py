"""examples/visits: what its handler makes of messages, and its HTTP service of requests."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from consumer.handler import Unavailable
from examples.visits.counts import Visits
from examples.visits.handler import FORGET_SECONDS, VisitCounter
from examples.visits.views import ROBOT_VIEW, VIEW
from examples.visits.web import create_app
from pipeline.health import Health
from tests.support.examples import arrival, arrived_again
from tests.support.ports import closed_port
from tests.support.publishing import TopicStandIn
from tests.support.stores import Store


@pytest.fixture
def counter(store: Store, monkeypatch: pytest.MonkeyPatch) -> VisitCounter:
    monkeypatch.setenv("DATABASE_URL", store.url)
    return VisitCounter()


@pytest.fixture
def visits(store: Store) -> Visits:
    return Visits(store.database)


def test_a_view_counts_once_in_a_batch_and_after_it(counter: VisitCounter, visits: Visits) -> None:
    home, contact = (arrival({"page": page}, type=VIEW) for page in ("home", "contact"))

    assert counter([home, arrived_again(home), contact]) == {}
    assert counter([arrived_again(contact), home]) == {}

    assert visits.read() == {"home": 1, "contact": 1}


@pytest.mark.parametrize(
    "data", ["home", None, {}, {"page": 1}, {"page": ""}, {"page": "a\0"}, {"page": 51 * "a"}]
)
def test_a_view_of_no_page_fails_and_the_others_of_its_batch_count(
    data: object, counter: VisitCounter, visits: Visits
) -> None:
    failures = counter([arrival(data, type=VIEW), arrival({"page": "home"}, type=VIEW)])

    assert [(place, str(error)) for place, error in failures.items()] == [
        (0, "data.page is not the name of a page")
    ]
    assert visits.read() == {"home": 1}


def test_what_is_no_view_is_taken_and_not_counted(counter: VisitCounter, visits: Visits) -> None:
    assert counter([arrival({"page": "home"}, type=ROBOT_VIEW), arrival("hello")]) == {}

    assert visits.read() == {}


def test_while_the_database_is_away_no_view_uses_up_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "DATABASE_URL", f"postgresql://nobody@127.0.0.1:{closed_port()}/none?connect_timeout=1"
    )

    with pytest.raises(Unavailable):
        VisitCounter()([arrival({"page": "home"}, type=VIEW)])


def test_identities_are_forgotten_when_no_duplicate_can_come_any_more(
    counter: VisitCounter, visits: Visits, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter([arrival({"page": "home"}, type=VIEW) for _ in range(2)])
    with store.connection() as connection:
        connection.execute(
            "UPDATE visits_counted SET counted_at = now() - %s "
            "WHERE identity = (SELECT min(identity) FROM visits_counted)",
            [timedelta(days=61)],
        )
    monkeypatch.setattr("time.monotonic", lambda now=counter._forget_at: now + FORGET_SECONDS)

    counter([])

    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM visits_counted").fetchone() == (1,)
    assert visits.read() == {"home": 2}


@pytest.fixture
def open_web(visits: Visits) -> Callable[..., FlaskClient]:
    def open_web(topic: TopicStandIn) -> FlaskClient:
        visits.check()
        return create_app(topic, visits, Health(60, {})).test_client()

    return open_web


def test_a_page_is_a_view_and_nothing_else_is(open_web: Callable[..., FlaskClient]) -> None:
    topic = TopicStandIn()
    web = open_web(topic)

    assert "<h1>home</h1>" in web.get("/").text
    assert web.get("/contact", headers={"User-Agent": "ExampleBot/1.0"}).status_code == 200
    for path in ("/health", "/metrics", "/api/visits", "/static/visits.js", "/nowhere"):
        web.get(path).close()
    web.head("/")

    assert [(message.type, message.data["page"]) for message in topic.accepted] == [
        (VIEW, "home"),
        (ROBOT_VIEW, "contact"),
    ]


def test_a_page_is_shown_while_its_view_cannot_be_published(open_web: Callable[..., FlaskClient]) -> None:
    web = open_web(TopicStandIn(broken_calls=1))

    assert web.get("/").status_code == 200
    assert "\nvisits_unpublished_total 1.0\n" in web.get("/metrics").text


def test_a_page_that_does_not_exist_is_a_problem(open_web: Callable[..., FlaskClient]) -> None:
    answer = open_web(TopicStandIn()).get("/nowhere")

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")

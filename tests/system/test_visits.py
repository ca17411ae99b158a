"""examples/visits as a whole: exact under kills, and started by `make example`."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from examples.visits.counts import Visits
from examples.visits.example import EXAMPLE, HANDLER
from examples.visits.views import ROBOT_VIEW, VIEW, new_view
from pipeline.aws import Topic, sns_client
from pipeline.message import Message
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.ports import free_port, free_ports
from tests.support.services import Service
from tests.support.stores import Store
from tests.support.waiting import wait_for
from tests.support.watching import Watch

VIEWS, KILLS = 400, 5
[QUEUE] = EXAMPLE.queues


def publish_all(topic: Topic, views: Sequence[Message]) -> None:
    batches = [views[start : start + 10] for start in range(0, len(views), 10)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(topic.publish, batches)) == [[]] * len(batches)


def break_connections(store: Store) -> None:
    """End all connections to the database, as its failover does: some commits stay without an answer."""
    with store.connection() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_every_view_counts_once_though_consumers_are_killed_and_messages_come_twice(
    create: Callable[..., Names], store: Store, start: Callable[..., Service]
) -> None:
    # Being killed costs a try, so there must be enough of them.
    names = create("ministack", MAX_RECEIVE_COUNT="1000", FILTER_POLICY=QUEUE.environment["FILTER_POLICY"])
    environment = {
        **names.environment,
        "DATABASE_URL": store.url,
        "HANDLER": HANDLER,
        "VISIBILITY_TIMEOUT_SECONDS": "2",  # so soon, what a killed consumer held is delivered again
    }
    visits = Visits(store.database)
    visits.check()
    views = [new_view(random.choice(("home", "products")), "a browser") for _ in range(VIEWS)]
    robots = [new_view("home", "a bot") for _ in range(20)]
    sent = [*views, *random.sample(views, VIEWS // 4), *robots]
    random.shuffle(sent)
    publish_all(Topic(sns_client(), names.topic), sent)

    for kill in range(1, KILLS + 1):
        # The delay comes after the handlers: what a killed consumer has counted, it has not deleted yet.
        consumer = start("consumer", environment, FAULTS="delay=1,delay_seconds=0.5")
        enough = VIEWS * kill // (KILLS + 1)
        wait_for(lambda: sum(visits.read().values()) >= enough, 30, f"{enough} visits")  # noqa: B023
        consumer.process.send_signal(signal.SIGKILL)
        assert consumer.process.wait(10) == -signal.SIGKILL
    last = start("consumer", environment)
    break_connections(store)

    wait_for(lambda: TestConsumer(names, store).left_in_queue() == 0, 60, "an empty queue")
    assert visits.read() == Counter(view.data["page"] for view in views)
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM visits_counted").fetchone() == (VIEWS,)
    assert "\nvisits_repeated_total 0.0\n" not in last.get("/metrics").text
    assert last.is_ready()


def test_make_example_starts_replicas_that_show_the_same_number_and_fanout_shows_the_messages(
    watch: Callable[..., Watch],
) -> None:
    first, second, _ = ports = free_ports(len(EXAMPLE.parts))
    more = {name: str(free_port()) for name in ("PRODUCER_PORT", "AWS_PORT")}
    running = watch({**more, "EXAMPLE_PORT": str(ports[0])}, "local.example visits")
    wait_for(lambda: f"Visit a page       http://localhost:{first}" in running.output(), 60)
    wait_for(lambda: "topics=visits" in running.output(), 20, "the tapping of the topic")

    def numbers(port: int) -> Mapping[str, int]:
        return dict(requests.get(f"http://127.0.0.1:{port}/api/visits", timeout=10).json())

    before = numbers(first)
    for number in range(30):
        port = (first, second)[number % 2]
        assert requests.get(f"http://127.0.0.1:{port}/contact", timeout=10).ok
    requests.get(f"http://127.0.0.1:{second}/contact", headers={"User-Agent": "a bot"}, timeout=10)

    expected = {**before, "contact": before["contact"] + 30}
    for port in (first, second):
        wait_for(lambda: numbers(port) == expected, 20, "the same number")  # noqa: B023

    def shown() -> Counter[tuple[str, str]]:
        found = requests.get(
            f"http://127.0.0.1:{running.port}/api/messages?q=topic:visits&limit=500", timeout=10
        )
        return Counter((message["queue"], message["type"]) for message in found.json()["messages"])

    everything = {("visits-counter", VIEW): 30, ("fanout-tap", VIEW): 30, ("fanout-tap", ROBOT_VIEW): 1}
    wait_for(lambda: shown() == everything, 20, "every message on each of its ways")

    running.interrupt()
    assert running.process.wait(20) == 0
    assert "Traceback" not in running.output()

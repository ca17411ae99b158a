"""The topology: what exists is seen, what is refused costs only its part, and few calls are made."""

import logging
import string
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.emulators import aws_environment
from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import describe_subscription
from tests.support.endpoints import (
    client,
    create_queue,
    create_topic,
    redrive,
    subscribe,
)
from tests.support.ports import closed_port
from tests.support.refusing_proxy import DENIED, REASONS, THROTTLED, RefusingProxy
from viewer.aws.filter_policy import FilterPolicy, PolicyError, parse_policy
from viewer.aws.queue_inspection import oldest_sent_at
from viewer.aws.topology import Topic, Topology
from viewer.aws.topology_keeper import AGE_SECONDS, AT_ONCE, MAX_SLOWDOWN, TopologyKeeper

EVERY_CHARACTER = f"{string.ascii_letters}{string.digits}-_"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def quick_account(open_account: Callable[[str], dict[str, str]]) -> None:
    """An account of its own on the quick emulator."""
    open_account("ministack")


@pytest.fixture
def proxy(quick_account: None, ministack_port: int) -> Iterator[RefusingProxy]:
    """What keepers that are opened by `open_keeper_behind` ask, in an account of its own."""
    del quick_account
    proxy = RefusingProxy(ministack_port)
    yield proxy
    proxy.close()


def open_keeper_behind(proxy: RefusingProxy, clock: Clock | None = None) -> TopologyKeeper:
    with proxy.before_clients():
        return open_keeper(clock)


def open_keeper(clock: Clock | None = None) -> TopologyKeeper:
    return TopologyKeeper(sns_client(), sqs_client(5), threading.Event(), clock or Clock())


def read() -> Topology:
    keeper = open_keeper()
    keeper.turn()
    return keeper.current


def only_topic(topology: Topology) -> Topic:
    [topic] = topology.topics
    return topic


# ---- what exists


@pytest.mark.usefixtures("account")
def test_topics_lead_to_queues_and_these_to_dead_letter_queues() -> None:
    dead, lost = create_queue("dead"), create_queue("lost")
    billing = create_queue("billing", dead)
    orders = create_topic("orders")
    subscribe(
        orders,
        billing,
        RawMessageDelivery="true",
        FilterPolicy={"region": ["eu"]},
        FilterPolicyScope="MessageBody",
        RedrivePolicy=redrive(lost),
    )
    send("billing")

    topology = read()

    assert topology.gaps == []
    [subscription] = only_topic(topology).subscriptions
    assert subscription.listed.endpoint == billing
    assert subscription.read is not None
    details = subscription.read.details
    assert (details.is_raw, details.filter_scope, details.dead_letter_arn) == (True, "MessageBody", lost)
    assert subscription.read.policy
    assert [queue.arn.name for queue in topology.queues.values()] == ["billing", "dead", "lost"]
    known = topology.queues[billing].details
    assert known is not None
    assert (known.visible, known.in_flight, known.delayed) == (1, 0, 0)
    assert (known.dead_letter_arn, known.max_receive_count) == (dead, 3)
    assert topology.queues[dead].state == "known"


@pytest.mark.usefixtures("account")
def test_names_have_any_allowed_character_and_fifo_is_recognised() -> None:
    topic = create_topic(f"{EVERY_CHARACTER}.fifo")
    queue = create_queue(f"{EVERY_CHARACTER}.fifo")
    subscribe(topic, queue)

    topology = read()

    found = only_topic(topology)
    assert found.listed.name == f"{EVERY_CHARACTER}.fifo"
    assert found.listed.is_fifo
    assert found.subscriptions[0].listed.endpoint == queue
    assert topology.queues[queue].arn.name == f"{EVERY_CHARACTER}.fifo"


def test_every_protocol_is_listed_and_a_pending_subscription_is_not_described(
    account: dict[str, str],
) -> None:
    number = account["AWS_ACCESS_KEY_ID"]
    topic = create_topic("orders")
    function = f"arn:aws:lambda:us-east-1:{number}:function:count"
    subscribe(topic, function, "lambda")
    subscribe(topic, f"http://127.0.0.1:{closed_port()}/hook", "http")
    subscribe(topic, "somebody@example.com", "email")
    subscribe(topic, "arn:aws:sqs:us-east-1:111111111111:theirs")
    subscribe(topic, f"arn:aws:sqs:eu-west-1:{number}:far")
    subscribe(topic, f"arn:aws:sqs:us-east-1:{number}:never-made")

    topology = read()

    found = {one.listed.endpoint: one for one in only_topic(topology).subscriptions}
    assert {one.listed.protocol for one in found.values()} >= {"lambda", "http", "email"}
    assert found[function].read
    states = {queue.arn.name: queue.state for queue in topology.queues.values()}
    assert states["theirs"] == states["far"] == "elsewhere"
    assert states["never-made"] == "missing"
    for one in found.values():
        assert bool(one.read) == one.listed.is_confirmed
    assert topology.gaps == []


def send(queue_name: str, text: str = "x", **more: Any) -> None:
    url = client("sqs").get_queue_url(QueueName=queue_name)["QueueUrl"]
    client("sqs").send_message(QueueUrl=url, MessageBody=text, **more)


@pytest.mark.usefixtures("account")
def test_the_age_of_the_oldest_message_is_told_and_no_receive_count_rises() -> None:
    billing, empty = create_queue("billing"), create_queue("empty")
    before = datetime.now(UTC) - timedelta(seconds=1)
    send("billing", "first")
    keeper = open_keeper(clock := Clock())
    keeper.turn()
    first = keeper.current.queues[billing].oldest_sent_at
    send("billing", "second")
    clock.now += 10
    keeper.turn()

    assert first is not None
    assert before <= first <= datetime.now(UTC)
    assert keeper.current.queues[billing].oldest_sent_at == first
    assert keeper.current.queues[empty].oldest_sent_at is None
    url = client("sqs").get_queue_url(QueueName="billing")["QueueUrl"]
    found = client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["ApproximateReceiveCount"]
    )
    assert {one["Attributes"]["ApproximateReceiveCount"] for one in found["Messages"]} == {"1"}


@pytest.mark.usefixtures("quick_account")
@pytest.mark.parametrize("answer", [{}, {"messages": []}, [], None, {"messages": {"a": {"b": 5}}}])
def test_what_an_endpoint_answers_beside_the_api_of_aws_costs_nothing(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing = create_queue("billing")
    send("billing")
    monkeypatch.setattr("viewer.aws.queue_inspection.fetch_json", lambda *_: (200, answer))

    topology = read()

    assert topology.gaps == []
    assert topology.queues[billing].state == "known"
    assert topology.queues[billing].oldest_sent_at is None


def test_a_queue_with_many_or_large_messages_is_not_looked_into_for_their_age(
    open_account: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_account("localstack")
    monkeypatch.setattr("viewer.aws.topology_keeper.MAX_AGED", 2)
    monkeypatch.setattr("viewer.aws.queue_inspection.MAX_AGED_BYTES", 5_000)
    for name, texts in {"many": ["x"] * 3, "large": ["x" * 6_000], "small": ["x"]}.items():
        create_queue(name)
        for text in texts:
            send(name, text)

    queues = read().queues

    assert {queue.arn.name for queue in queues.values() if queue.oldest_sent_at} == {"small"}


@pytest.mark.usefixtures("quick_account")
def test_an_emulator_is_rarely_asked_for_the_age_of_what_does_not_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_queue("billing")
    send("billing")
    asked: list[str] = []

    def note(url: str) -> datetime | None:
        asked.append(url)
        return oldest_sent_at(url)

    monkeypatch.setattr("viewer.aws.topology_keeper.oldest_sent_at", note)
    keeper = open_keeper(clock := Clock())
    for _ in range(6):
        keeper.turn()
        clock.now += 10
    assert len(asked) == 1

    send("billing")
    keeper.turn()
    assert len(asked) == 2
    clock.now += AGE_SECONDS
    keeper.turn()

    assert len(asked) == 3
    [queue] = keeper.current.queues.values()
    assert queue.oldest_sent_at


@pytest.mark.usefixtures("quick_account")
def test_depths_are_kept_while_a_queue_is_watched() -> None:
    billing, quiet = create_queue("billing"), create_queue("quiet")
    keeper = open_keeper(clock := Clock())
    count = count_calls(keeper)
    keeper.turn()
    calls = count()
    for _ in range(2):
        send("billing")
        clock.now += 10
        keeper.turn()

    assert keeper.current.depths == {billing: [0, 1, 2], quiet: ()}
    assert count() == 3 * calls
    url = client("sqs").get_queue_url(QueueName="billing")["QueueUrl"]
    client("sqs").delete_queue(QueueUrl=url)
    clock.now += 10
    keeper.turn()
    assert keeper.current.depths == {quiet: ()}


@pytest.mark.usefixtures("account")
def test_what_changes_is_seen_in_the_next_turn() -> None:
    keeper = open_keeper(clock := Clock())
    keeper.turn()
    assert keeper.current.topics == []
    topic, queue = create_topic("orders"), create_queue("billing")
    arn = subscribe(topic, queue)
    keeper.turn()
    assert only_topic(keeper.current).subscriptions[0].read

    client("sns").set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"region": ["eu"]}'
    )
    client("sqs").delete_queue(QueueUrl=client("sqs").get_queue_url(QueueName="billing")["QueueUrl"])
    clock.now += 10
    keeper.turn()
    read = only_topic(keeper.current).subscriptions[0].read
    assert read is not None
    assert read.details.filter_policy == '{"region": ["eu"]}'
    assert keeper.current.queues[queue].state == "missing"

    client("sns").delete_topic(TopicArn=topic)
    keeper.turn()
    assert keeper.current.topics == []


@pytest.mark.usefixtures("quick_account")
def test_a_topic_that_is_looked_at_is_read_before_its_turn() -> None:
    arn = subscribe(create_topic("orders"), create_queue("billing"))
    keeper = open_keeper()
    keeper.turn()
    client("sns").set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"region": ["eu"]}'
    )
    keeper.turn()
    before = only_topic(keeper.current)
    assert before.subscriptions[0].read
    assert before.subscriptions[0].read.policy is None

    keeper.hurry(before)
    keeper.turn()

    after = only_topic(keeper.current).subscriptions[0].read
    assert after is not None
    assert after.policy


@pytest.mark.usefixtures("quick_account")
def test_a_filter_policy_that_is_no_json_is_kept_with_its_reason() -> None:
    subscribe(create_topic("orders"), create_queue("billing"), FilterPolicy="no JSON")

    read_ = only_topic(read()).subscriptions[0].read

    assert read_ is not None
    assert isinstance(read_.policy, PolicyError)
    assert str(read_.policy) == "the policy is not JSON"
    assert read_.details.filter_policy == "no JSON"


@pytest.mark.usefixtures("quick_account")
def test_a_policy_is_parsed_only_when_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(*policy: Any) -> FilterPolicy:
        parsed.append(policy)
        return parse_policy(*policy)

    monkeypatch.setattr("viewer.aws.topology_keeper.parse_policy", parse)
    topic = create_topic("orders")
    for number, policy in enumerate(('{"a": ["x"]}', "{" * 10_000)):
        subscribe(topic, create_queue(f"queue-{number}"), FilterPolicy=policy)
    keeper = open_keeper(clock := Clock())

    for _ in range(3):
        keeper.turn()
        clock.now += 10

    assert len(parsed) == 2


@pytest.mark.usefixtures("quick_account")
def test_what_was_listed_is_seen_before_its_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe(create_topic("orders"), create_queue("billing"))
    keeper, seen = open_keeper(), []

    def describe(*arguments: Any) -> Any:
        seen.append(keeper.current)
        return describe_subscription(*arguments)

    monkeypatch.setattr("viewer.aws.topology_keeper.describe_subscription", describe)
    keeper.turn()

    [early] = seen
    assert only_topic(early).subscriptions[0].read is None
    assert only_topic(keeper.current).subscriptions[0].read


@pytest.mark.usefixtures("quick_account")
def test_few_attributes_are_read_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    many(20, 1)
    running, most = 0, 0

    def slow(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return describe_subscription(*arguments)
        finally:
            running -= 1

    monkeypatch.setattr("viewer.aws.topology_keeper.describe_subscription", slow)

    topology = read()

    assert all(one.read for topic in topology.topics for one in topic.subscriptions)
    assert most <= AT_ONCE


# ---- what is refused


def small() -> None:
    subscribe(create_topic("orders"), create_queue("billing", create_queue("dead")))


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("sns", "ListTopics"),
        ("sns", "ListSubscriptions"),
        ("sns", "GetSubscriptionAttributes"),
        ("sqs", "ListQueues"),
        ("sqs", "GetQueueAttributes"),
    ],
)
def test_an_action_that_is_not_allowed_is_named_until_it_is_and_costs_only_its_part(
    service: str, operation: str, proxy: RefusingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    small()
    proxy.refuse(operation)
    keeper = open_keeper_behind(proxy, clock := Clock())

    for _ in range(4):
        keeper.turn()
        [gap] = keeper.current.gaps
        assert gap.action == f"{service}:{operation}"
        assert gap.reason.startswith("not allowed: ")
        assert f"when calling the {operation} operation: {REASONS[DENIED]}" in gap.reason
        clock.now += 5

    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "the topology has a gap"
    ]
    queues = {queue.arn.name: queue.state for queue in keeper.current.queues.values()}
    described = "unread" if operation == "GetQueueAttributes" else "known"
    assert queues["billing"] == described
    assert ("dead" in queues) == (operation != "ListQueues" or queues["dead"] == "known")
    topic = only_topic(keeper.current)
    assert topic.listed.name == "orders"
    if operation == "ListSubscriptions":
        assert topic.subscriptions == []
    else:
        assert bool(topic.subscriptions[0].read) == (operation != "GetSubscriptionAttributes")
    proxy.allow()
    clock.now += 20
    keeper.turn()
    assert keeper.current.gaps == []


def test_queues_that_may_not_be_read_are_named_and_the_others_are_read_at_once(proxy: RefusingProxy) -> None:
    for number in range(20):
        create_queue(f"secret-{number:02}")
        create_queue(f"team-{number:02}")
    proxy.refuse("GetQueueAttributes", containing="secret-")
    keeper = open_keeper_behind(proxy, clock := Clock())

    for _ in range(3):
        keeper.turn()
        clock.now += 5

    queues = {queue.arn.name: queue.state for queue in keeper.current.queues.values()}
    assert {state for name, state in queues.items() if name.startswith("team-")} == {"known"}
    assert {state for name, state in queues.items() if name.startswith("secret-")} == {"unread"}
    [gap] = keeper.current.gaps
    assert gap.reason.endswith("(secret-00, secret-01, secret-02, secret-03, secret-04 and 15 more)")


def test_what_was_known_stays_while_an_action_is_refused(proxy: RefusingProxy) -> None:
    small()
    keeper = open_keeper_behind(proxy, clock := Clock())
    keeper.turn()
    before = keeper.current
    operations = ("ListTopics", "ListSubscriptions", "GetSubscriptionAttributes")
    for operation in (*operations, "ListQueues", "GetQueueAttributes"):
        proxy.refuse(operation)
    clock.now += 10

    keeper.turn()

    assert keeper.current.topics == before.topics
    assert keeper.current.queues == before.queues
    assert len(keeper.current.gaps) == 5


@pytest.mark.usefixtures("quick_account")
@pytest.mark.parametrize("is_known", [False, True])
def test_an_endpoint_that_does_not_answer_is_said_to_be_away(
    monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    small()
    if not is_known:
        for name, value in aws_environment(closed_port()).items():
            monkeypatch.setenv(name, value)
    sns = sns_client()
    keeper = TopologyKeeper(sns, sqs_client(5), threading.Event(), Clock())
    if is_known:
        keeper.turn()
        for one in (sns, keeper._sqs):
            one.meta.events.register("before-send", lambda **_: fail())

    keeper.turn()

    [gap] = keeper.current.gaps
    assert gap.action == "endpoint"
    assert bool(keeper.current.topics) == is_known
    assert (keeper.current.read_at is not None) == is_known


def fail() -> None:
    raise EndpointConnectionError(endpoint_url="http://gone")


@pytest.mark.parametrize("operation", ["ListTopics", "GetSubscriptionAttributes", "GetQueueAttributes"])
def test_a_throttled_endpoint_is_asked_less_often_until_it_is_not(
    operation: str, proxy: RefusingProxy
) -> None:
    small()
    throttled = proxy.refuse(operation, THROTTLED)
    keeper = open_keeper_behind(proxy)
    pauses = []
    for _ in range(5):
        keeper.turn()
        pauses.append(keeper.pause(0.1))
        [gap] = keeper.current.gaps
        assert "Rate exceeded" in gap.reason
    assert pauses == [10, 20, 40, 40, 40]
    assert pauses[-1] == 5 * MAX_SLOWDOWN

    proxy.allow(throttled)
    keeper.turn()

    assert keeper.pause(0.1) == 5
    assert keeper.current.gaps == []
    assert only_topic(keeper.current).subscriptions[0].read


# ---- how much is asked


def count_calls(keeper: TopologyKeeper) -> Callable[[], int]:
    calls = 0

    def count(**_: Any) -> None:
        nonlocal calls
        calls += 1

    for one in (keeper._sns, keeper._sqs):
        one.meta.events.register("before-send", count)
    return lambda: calls


def many(topics: int, queues_each: int) -> None:
    for number in range(topics):
        topic = create_topic(f"topic-{number}")
        for which in range(queues_each):
            subscribe(topic, create_queue(f"queue-{number}-{which}"))


@pytest.mark.usefixtures("quick_account")
def test_at_rest_aws_is_asked_at_most_60_times_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    many(100, 3)
    monkeypatch.setattr("viewer.aws.topology_keeper.is_aws", lambda _: True)
    keeper = open_keeper(clock := Clock())
    count = count_calls(keeper)
    keeper.turn()
    assert len(keeper.current.queues) == 300
    assert all(one.read for topic in keeper.current.topics for one in topic.subscriptions)
    after_start, began = count(), clock.now

    for _ in range(10):
        clock.now += keeper.pause(2.0)
        keeper.turn()
        keeper.hurry(keeper.current.topics[0])  # somebody looks

    per_minute = (count() - after_start) / ((clock.now - began) / 60)
    assert per_minute <= 60
    assert after_start < 700


@pytest.mark.usefixtures("quick_account")
def test_a_thousand_topics_are_seen() -> None:
    many(1_000, 0)

    topology = read()

    assert len(topology.topics) == 1_000
    assert topology.gaps == []
    assert topology.topic("topic-999")

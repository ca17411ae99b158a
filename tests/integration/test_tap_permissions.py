"""What the tap asks of an endpoint, and what becomes of it where something is refused.

Emulators refuse nothing, so refusals are put in the way of requests to a real one.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumer.settings import ConsumerSettings
from consumer.tap import FIRST_REFUSED_SECONDS, RETRY_SECONDS, Tap
from consumer.tap_queue import OwnQueue, TapQueue
from consumer.untap import remove_tap
from local.emulators import ROOT
from local.settings import own_tap_name
from pipeline.aws import sns_client, sqs_client
from pipeline.endpoint import in_parallel
from pipeline.watching import parse_patterns
from tests.support.endpoints import create_queue, create_topic, refuse, subscribe
from tests.support.recording import Recorder
from tests.support.refusing_proxy import DENIED, REASONS, THROTTLED, RefusingProxy
from tests.support.tapping import TAP, Clock, keep_later, open_tap, publish_to, tapped
from viewer.aws.topology_keeper import TopologyKeeper

POLICY: dict[str, Any] = json.loads((ROOT / "docs" / "watch-iam-policy.json").read_text())
STATEMENTS = {statement["Sid"]: statement for statement in POLICY["Statement"]}


@pytest.fixture(autouse=True)
def in_an_account(open_account: Callable[[str], dict[str, str]]) -> None:
    open_account("ministack")


@pytest.fixture
def proxy(in_an_account: None, ministack_port: int) -> Iterator[RefusingProxy]:
    """What taps that are opened by `open_tap_behind` ask."""
    del in_an_account
    proxy = RefusingProxy(ministack_port)
    yield proxy
    proxy.close()


def open_tap_behind(proxy: RefusingProxy, watch: str = "*", clock: Clock | None = None) -> Tap:
    with proxy.before_clients():
        return open_tap(watch, clock=clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(one.__dict__["reason"]) for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("operation", "is_tapped"),
    [
        ("ListTopics", False),
        ("GetQueueUrl", False),
        ("CreateQueue", False),
        ("GetQueueAttributes", False),
        ("ListQueueTags", False),
        ("SetQueueAttributes", True),
        ("ListSubscriptions", True),
        ("GetSubscriptionAttributes", True),
        ("Subscribe", False),
    ],
)
def test_a_permission_that_is_missing_is_one_line_until_it_is_granted(
    operation: str, is_tapped: bool, proxy: RefusingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    orders = create_topic("orders")
    subscribe(orders, create_queue("own"), FilterPolicy={"kind": ["refund"]})
    clock = Clock()
    tap = open_tap_behind(proxy, clock=clock)
    proxy.refuse(operation)

    for _ in range(3):
        keep_later(tap, clock)

    [line] = lines(caplog)
    assert f"when calling the {operation} operation: {REASONS[DENIED]}" in line
    assert tap.status.problems == [line]
    assert (tapped() == ["orders"]) is is_tapped
    proxy.allow()
    caplog.set_level(logging.INFO)
    clock.now += 2 * FIRST_REFUSED_SECONDS
    keep_later(tap, clock)
    assert tapped() == ["orders"]
    assert tap.status.problems == []
    assert "tap resolved" in caplog.messages


def test_a_topic_that_is_refused_costs_the_others_nothing_and_is_tried_less_and_less(
    proxy: RefusingProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("orders", "payments", "secret-a", "secret-b"):
        create_topic(name)
    clock = Clock()
    tap = open_tap_behind(proxy, clock=clock)
    refused = proxy.refuse("Subscribe", containing=":secret")

    for _ in range(100):  # ten minutes
        clock.now += 6
        tap.keep()

    assert tapped() == ["orders", "payments"]
    [line] = lines(caplog)
    assert line.startswith("not watched: secret-a, secret-b: ")
    assert refused.count <= 2 * 6


def test_of_a_thousand_topics_those_that_are_refused_are_one_short_line(
    proxy: RefusingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"{'secret' if number % 10 == 0 else 'topic'}-{number:03}" for number in range(1_000)]
    in_parallel(create_topic, names)
    proxy.refuse("Subscribe", containing=":secret-")
    tap = open_tap_behind(proxy)
    caplog.clear()

    tap.keep()

    assert len(tap.status.topics) == 900
    [line] = lines(caplog)
    assert line.startswith("not watched: secret-000, secret-010, ")
    assert "secret-090 and 90 more: " in line


def test_throttling_is_one_line_and_is_over_as_soon_as_the_endpoint_allows(
    proxy: RefusingProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("orders", "payments", "refunds"):
        create_topic(name)
    tap = open_tap_behind(proxy)
    proxy.refuse("Subscribe", THROTTLED, containing=":refunds")

    assert tap.keep() == RETRY_SECONDS
    assert tapped() == ["orders", "payments"]
    assert len(lines(caplog)) == 1
    proxy.allow()
    assert tap.keep() > RETRY_SECONDS

    assert tapped() == ["orders", "payments", "refunds"]
    assert tap.status.problems == []


def test_a_subscription_that_cannot_be_ended_is_one_line(
    proxy: RefusingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    create_topic("orders")
    open_tap().keep()
    clock = Clock()
    tap = open_tap_behind(proxy, "payments*,!orders", clock)
    create_topic("payments")
    proxy.refuse("Unsubscribe")

    for _ in range(3):
        keep_later(tap, clock)

    [line] = lines(caplog)
    assert line.startswith("still watched: orders: ")
    assert tapped() == ["orders", "payments"]


def test_a_filter_policy_that_is_no_json_counts_as_one() -> None:
    subscribe(create_topic("orders"), create_queue("own"), FilterPolicy="{not json")

    open_tap().keep()

    assert tapped() == ["orders"]


@pytest.fixture
def recorder(ministack_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Every call of every client that is made from now on."""
    recorder = Recorder(ministack_port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{recorder.port}")
    yield recorder
    recorder.close()


def allowed(*statements: str) -> set[str]:
    """Return the actions of these statements of the policy."""
    given = [STATEMENTS[name]["Action"] for name in statements]
    return {action for one in given for action in ([one] if isinstance(one, str) else one)}


def test_the_least_policy_allows_what_the_page_asks(recorder: Recorder) -> None:
    subscribe(create_topic("orders"), create_queue("theirs"))
    recorder.calls.clear()

    TopologyKeeper(sns_client(5), sqs_client(5), threading.Event()).turn()

    assert recorder.actions() == allowed("SeeTopicsAndSubscriptions", "SeeQueuesOnThePage")


def test_the_least_policy_allows_the_calls_that_are_made_and_no_others(recorder: Recorder) -> None:
    orders = create_topic("orders")
    subscribe(orders, create_queue("own"), FilterPolicy={"kind": ["refund"]})
    create_topic("internal-audit")
    patterns, clock = parse_patterns("*"), Clock()
    recorder.calls.clear()
    sns, sqs = sns_client(5), sqs_client(5)
    own = OwnQueue(sqs, TAP, patterns, clock)
    tap = Tap(sns, own, patterns, lambda: {"own"}, clock)
    tap.keep()
    queue = TapQueue(own, sqs, 30)
    publish_to(orders, "hi")
    [delivery] = queue.receive(5)
    queue.hide({delivery: 30})
    queue.delete([delivery])
    narrow = Tap(sns, own, parse_patterns("!internal-*"), lambda: {"own"}, clock)
    narrow.keep()
    allow = refuse(sns, "Unsubscribe", "InternalError")  # as LocalStack does of what is gone
    with pytest.raises(ClientError):
        remove_tap(sns, sqs, TAP)
    allow()
    narrow.keep()
    remove_tap(sns, sqs, TAP)

    needed = recorder.actions() - {"sns:Publish"}
    assert allowed(*STATEMENTS.keys() - {"SeeQueuesOnThePage"}) == needed
    # Only the tap may be subscribed, and no other queue is touched.
    condition = STATEMENTS["SubscribeTheTapAndNothingElse"]["Condition"]
    for call in recorder.calls:
        if call.action == "sns:Subscribe":
            assert call.parameters["Protocol"] == condition["StringEquals"]["sns:Protocol"]
            assert fnmatchcase(call.parameters["Endpoint"], condition["StringLike"]["sns:Endpoint"])
    queues = [call.parameters for call in recorder.calls if call.action.startswith("sqs:")]
    assert {one.get("QueueName") or str(one["QueueUrl"]).rpartition("/")[2] for one in queues} == {TAP}


def test_the_least_policy_allows_the_names_that_taps_have() -> None:
    pattern = STATEMENTS["KeepAndReadTheTap"]["Resource"].rpartition(":")[2]
    assert fnmatchcase(own_tap_name(), pattern)
    assert fnmatchcase(ConsumerSettings.model_fields["tap_name"].default, pattern)

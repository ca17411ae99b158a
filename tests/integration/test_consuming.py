"""What becomes of a message on the queue: stored and deleted, tried again, or dead with its reason."""

import dataclasses
import importlib
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import psycopg
import pytest
from botocore.exceptions import ClientError
from prometheus_client import REGISTRY

from consumer.faults import FaultInjector, parse_faults
from consumer.handler import Failures, StoreHandler, Unavailable, one_by_one
from consumer.poller import Poller
from consumer.queue import Queue
from examples.orders import take_order
from pipeline.aws import sqs_client
from pipeline.message import Delivery, new_message
from tests.support.consuming import TestConsumer, publish, refuse, send, stored
from tests.support.emulators import Names
from tests.support.examples import arrival
from tests.support.stores import Store
from tests.support.waiting import wait_for

EVENT = {"specversion": "1.0", "id": "i", "source": "s", "type": "t", "data": 1}


class FailingOnce:
    """A handler that fails the first time it is called."""

    def __init__(self) -> None:
        self._called = False

    def __call__(self, deliveries: Sequence[Delivery]) -> Failures:
        already, self._called = self._called, True
        return {} if already else dict.fromkeys(range(len(deliveries)), ValueError("not yet"))


def test_messages_are_stored_and_deleted(names: Names, store: Store) -> None:
    consumer = TestConsumer(names, store)
    publish(names, 25)

    consumer.take(25)

    assert stored(store) == sorted(str(number) for number in range(25))
    assert consumer.left_in_queue() == 0


def test_messages_stay_on_the_queue_when_the_consumer_dies_before_deleting(
    ministack: Names, store: Store
) -> None:
    consumer = TestConsumer(ministack, store, visibility_timeout_seconds=2)
    publish(ministack, 1)
    StoreHandler(store)(consumer.queue.receive(1))  # and no more of that consumer

    outcome = consumer.take(1)

    assert outcome.done[0].receive_count == 2
    assert len(stored(store)) == 1
    assert consumer.left_in_queue() == 0


def test_a_message_sent_twice_is_stored_once_and_noted_as_a_duplicate(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store)
    body = new_message("/tests", "test.message", {"text": "twice"}).body
    send(ministack, body, body)

    consumer.take(2)

    assert stored(store) == ["twice"]
    with store.connection() as connection:
        assert connection.execute("SELECT count(*) FROM duplicates").fetchone() == (1,)


def test_the_next_try_of_what_failed_after_it_was_stored_is_no_duplicate(
    ministack: Names, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    body = new_message("/tests", "test.message", {"text": "again"}).body
    consumer = TestConsumer(ministack, store, StoreHandler(store), FailingOnce())
    caplog.set_level("INFO", "consumer.handler")
    queue = {"queue": ministack.queue}

    def said() -> list[str]:
        return [record.message for record in caplog.records if record.name == "consumer.handler"]

    send(ministack, body)
    consumer.take(2)
    assert said() == ["stored", "retried"]
    assert REGISTRY.get_sample_value("fanout_messages_duplicate_total", queue) == 0

    send(ministack, body)
    consumer.take(1)
    assert said() == ["stored", "retried", "duplicate"]
    assert REGISTRY.get_sample_value("fanout_messages_duplicate_total", queue) == 1


@pytest.mark.parametrize(
    "body",
    [
        "plain text",
        "null",
        "[1, 2",
        '{"specversion":"1.0"}',
        '{"text":"nul \\u0000 and a lone surrogate \\ud800"}',
        "[" * 20_000 + "]" * 20_000,
        "9" * 5000,
        json.dumps(EVENT | {"id": "i" * 5000, "source": "s" * 5000, "type": "t" * 5000}),
        json.dumps(EVENT | {"id": "\x00", "source": "/\ud800", "time": "9999-99-99"}),
        json.dumps(EVENT | {"time": "0001-01-01T00:00:00+23:59"}),
    ],
    ids=lambda body: body[:24],
)
def test_whatever_arrives_is_stored(ministack: Names, store: Store, body: str) -> None:
    consumer = TestConsumer(ministack, store)
    send(ministack, body)

    outcome = consumer.take(1)

    assert len(outcome.done) == 1
    assert len(store.find(limit=10)) == 1
    assert consumer.left_in_queue() == 0


def test_a_message_of_one_mebibyte_is_stored_whole(create: Callable[..., Names], store: Store) -> None:
    names = create("localstack")  # MiniStack takes 256 KiB
    consumer = TestConsumer(names, store)
    body = "x" * 1_048_576
    send(names, body)

    consumer.take(1)

    [message] = store.find(limit=10)
    whole = store.get(message.seq)
    assert whole is not None
    assert whole.body == body


def test_a_failing_message_leaves_the_others_of_its_batch_alone(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store, refuse("3"), StoreHandler(store))
    publish(ministack, 6)

    consumer.take(6)

    assert stored(store) == ["0", "1", "2", "4", "5"]
    assert consumer.left_in_queue() == 1


def test_a_failing_message_becomes_a_dead_letter_with_its_reason_after_exactly_the_allowed_tries(
    create: Callable[..., Names], store: Store, emulator: str
) -> None:
    names = create(emulator, MAX_RECEIVE_COUNT="3")
    tries: list[int] = []

    @one_by_one
    def fail(delivery: Delivery) -> None:
        tries.append(delivery.receive_count)
        raise KeyError("sku")

    consumer = TestConsumer(names, store, fail)
    publish(names, 1)
    consumer.take(3)
    wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == 1)

    assert tries == [1, 2, 3]
    [letter] = consumer.failures.dead_letters()
    assert (letter.error_type, letter.error, letter.tries) == ("KeyError", "'sku'", 3)
    assert 'raise KeyError("sku")' in letter.traceback
    assert letter.preview == "0"
    assert consumer.left_in_queue() == 0


def test_a_failing_message_waits_about_twice_as_long_before_every_try_up_to_a_limit(
    create: Callable[..., Names], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = create("ministack", MAX_RECEIVE_COUNT="12")
    consumer = TestConsumer(names, store, refuse("0"), retry_seconds=2)
    hide = consumer.queue.hide
    delays: list[int] = []

    def hide_no_longer(seconds: dict[Delivery, int]) -> list[Delivery]:
        delays.extend(seconds.values())
        return hide(dict.fromkeys(seconds, 0))

    monkeypatch.setattr(consumer.queue, "hide", hide_no_longer)
    publish(names, 1)
    consumer.take(12)

    *waits, last = delays
    longest = [min(2 * 2**number, 900) for number in range(11)]
    assert [wait for wait, most in zip(waits, longest, strict=True) if not most // 2 <= wait <= most] == []
    assert waits != longest  # each is shortened by chance, so that what failed together is not tried together
    assert last == 0  # SQS moves it to the dead-letter queue when it is received next


def test_a_message_that_recovers_is_no_dead_letter(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store, refuse("0", times=2), StoreHandler(store))
    publish(ministack, 1)

    consumer.take(3)

    assert stored(store) == ["0"]
    assert consumer.failures.dead_letters() == []
    assert consumer.left_in_queue() == 0


def test_an_outage_of_what_a_handler_needs_costs_no_try(ministack: Names, store: Store) -> None:
    calls = 0

    def unavailable_at_first(_deliveries: Sequence[Delivery]) -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise Unavailable("away")

    consumer = TestConsumer(ministack, store, unavailable_at_first, StoreHandler(store))
    publish(ministack, 1)

    outcome = consumer.take(1)

    assert outcome.done[0].receive_count == 1
    assert calls == 4


def test_what_the_database_refuses_fails_alone(ministack: Names, store: Store) -> None:
    with store.connection() as connection:
        connection.execute("ALTER TABLE messages ADD CHECK (preview <> '2')")
    consumer = TestConsumer(ministack, store)
    publish(ministack, 4)

    outcome = consumer.take(4)

    assert stored(store) == ["0", "1", "3"]
    [failed] = outcome.failed
    assert failed.error_type == "CheckViolation"


def refuse_text(text: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function; it raises for whatever contains this text."""

    def refusing(first: Any, *more: Any, **options: Any) -> Any:
        if text in str(first):
            raise RecursionError(f"{text} is too deep")
        return call(first, *more, **options)

    return refusing


@pytest.mark.parametrize(
    "place",
    [
        "consumer.queue.message_from_body",
        "pipeline.store.writer.index_terms",
        "pipeline.store.writer.storable",
    ],
)
def test_whatever_raises_for_a_message_fails_it_alone_with_its_reason(
    ministack: Names, store: Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, _, name = place.rpartition(".")
    original = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(place, refuse_text("number-2", original))
    send(ministack, *(f"number-{number}" for number in range(5)))
    consumer = TestConsumer(ministack, store)

    outcome = consumer.take(5)

    assert {one.receive_count for one in outcome.done} == {1}
    assert stored(store) == [f"number-{number}" for number in (0, 1, 3, 4)]
    [failed] = outcome.failed
    assert (failed.error_type, failed.error) == ("RecursionError", "number-2 is too deep")
    with store.connection() as connection:
        recorded = connection.execute("SELECT body, error_type, tries FROM failures").fetchall()
    assert recorded == [("number-2", "RecursionError", 1)]


def test_a_handler_of_a_batch_that_raises_fails_only_those_for_which_it_raises_alone(
    ministack: Names, store: Store
) -> None:
    calls: list[int] = []

    def handle(deliveries: Sequence[Delivery]) -> None:
        calls.append(len(deliveries))
        for delivery in deliveries:
            if delivery.message.preview == "3":
                raise Indescribable

    consumer = TestConsumer(ministack, store, handle, StoreHandler(store))
    publish(ministack, 6)

    outcome = consumer.take(6)

    assert stored(store) == ["0", "1", "2", "4", "5"]
    assert {one.receive_count for one in outcome.done} == {1}
    assert [(one.error_type, one.error) for one in outcome.failed] == [("Indescribable", "Indescribable")]
    assert calls[0] > 1


class Indescribable(Exception):
    """An exception that cannot be turned into a text."""

    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_failure_that_cannot_be_recorded_keeps_no_other_from_being_recorded(
    ministack: Names, store: Store
) -> None:
    with store.connection() as connection:
        connection.execute("ALTER TABLE failures ADD CHECK (preview <> '1')")
    consumer = TestConsumer(ministack, store, refuse("0"), refuse("1"), refuse("2"), StoreHandler(store))
    publish(ministack, 4)

    outcome = consumer.take(4)

    assert [one.message.preview for one in outcome.done] == ["3"]
    with store.connection() as connection:
        recorded = connection.execute("SELECT preview FROM failures ORDER BY preview").fetchall()
    assert recorded == [("0",), ("2",)]


def test_a_handler_that_outlasts_the_visibility_timeout_runs_once(names: Names, store: Store) -> None:
    runs: list[str] = []

    @one_by_one
    def slow(delivery: Delivery) -> None:
        runs.append(delivery.message.preview)
        threading.Event().wait(3)

    consumer = TestConsumer(names, store, slow, visibility_timeout_seconds=2)
    rival = TestConsumer(names, store, visibility_timeout_seconds=2)
    end = threading.Event()
    keeping = threading.Thread(target=consumer.keeper.run, args=[end])
    keeping.start()
    publish(names, 1)
    first = threading.Thread(target=consumer.take)
    first.start()
    wait_for(lambda: runs)
    while first.is_alive():
        assert rival.poller.poll_once().done == []
    end.set()
    keeping.join()

    assert runs == ["0"]
    assert consumer.left_in_queue() == 0


def test_when_stopping_what_was_not_started_is_handed_back_at_once(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store)
    handled: list[str] = []

    @one_by_one
    def stop_after_first(delivery: Delivery) -> None:
        handled.append(delivery.message.preview)
        consumer.stop.set()

    consumer.poller = TestConsumer(ministack, store, stop_after_first).poller
    consumer.stop = consumer.poller._context.stop
    publish(ministack, 5)
    wait_for(lambda: consumer.poller.poll_once().untouched)

    other = TestConsumer(ministack, store)
    other.take(5 - len(handled))
    assert len(handled) == 1


def test_a_queue_that_is_created_later_is_waited_for(ministack: Names, store: Store) -> None:
    late = Names(ministack.topic, f"late-{ministack.queue}", ministack.environment)
    consumer = TestConsumer(late, store)
    turn = threading.Thread(target=consumer.take)
    turn.start()
    sqs = sqs_client(10)
    url = sqs.create_queue(QueueName=late.queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="at last")

    turn.join(15)

    assert stored(store) == ["at last"]


def test_only_the_newest_messages_are_kept(ministack: Names, store: Store) -> None:
    publish(ministack, 30)
    TestConsumer(ministack, store).take(30)

    assert store.prune(keep=12) == 18

    assert len(store.find(limit=50)) == 12
    assert store.prune(keep=12) == 0


def test_a_database_that_is_away_is_an_outage_and_not_a_failure(
    ministack: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.connection.CONNECT_TIMEOUT_SECONDS", 1)
    nowhere = Store("postgresql://nobody@127.0.0.1:1/none")
    publish(ministack, 1)
    [delivery] = TestConsumer(ministack, nowhere).queue.receive(5)

    with pytest.raises(Unavailable) as raised:
        StoreHandler(nowhere)([delivery])
    assert isinstance(raised.value.__cause__, psycopg.OperationalError)
    nowhere.close()


def test_the_example_handler_takes_orders_and_says_what_is_wrong_with_others(
    ministack: Names, store: Store
) -> None:
    consumer = TestConsumer(ministack, store, take_order, StoreHandler(store))
    orders: list[dict[str, object]] = [
        {"sku": "A-1", "price": 12},
        {"sku": "A-2"},
        {"sku": "A-3", "price": 0},
    ]
    send(ministack, *(new_message("/shop", "shop.order", order).body for order in orders))

    outcome = consumer.take(3)

    assert [delivery.message.data["sku"] for delivery in outcome.done] == ["A-1"]
    errors = {failed.delivery.message.data["sku"]: failed.error for failed in outcome.failed}
    assert errors == {"A-2": "'price'", "A-3": "the price of A-3 is 0"}


class PartlyFailing:
    """A queue that leaves some of a batch undone at first, as SQS may and no emulator does on demand."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.asked: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._queue, name)

    def delete(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        self.asked.append(("delete", len(deliveries)))
        if len(self.asked) == 1:
            return [*self._queue.delete(deliveries[1:]), deliveries[0]]
        return self._queue.delete(deliveries)

    def hide(self, seconds: dict[Delivery, int]) -> list[Delivery]:
        self.asked.append(("hide", len(seconds)))
        return list(seconds) if self.asked.count(("hide", len(seconds))) == 1 else self._queue.hide(seconds)


def test_what_a_batch_left_undone_is_asked_for_again_and_nothing_else(ministack: Names, store: Store) -> None:
    consumer = TestConsumer(ministack, store, refuse("0", times=1), StoreHandler(store))
    queue = PartlyFailing(consumer.queue)
    consumer.poller = Poller("poller", dataclasses.replace(consumer.context, queue=cast(Queue, queue)))
    send(ministack, *(new_message("/tests", "t", {"text": str(number)}).body for number in range(5)))
    wait_for(lambda: consumer.left_in_queue() == 5)

    consumer.poller.poll_once()

    assert queue.asked == [("delete", 4), ("delete", 1), ("hide", 1), ("hide", 1)]
    consumer.take(1)
    assert stored(store) == ["0", "1", "2", "3", "4"]
    assert consumer.left_in_queue() == 0


def test_an_outage_of_aws_is_logged_once_for_all_pollers_and_so_is_its_end(
    ministack: Names, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = TestConsumer(ministack, store)
    away = threading.Event()
    away.set()
    receive = consumer.queue.receive

    attempts = itertools.count(1)
    made = 0

    def receive_or_fail(wait_seconds: int, *_: object) -> list[Delivery]:
        nonlocal made
        made = next(attempts)
        if away.is_set():
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "ReceiveMessage")
        return receive(wait_seconds)

    monkeypatch.setattr(consumer.queue, "receive", receive_or_fail)
    pollers = [threading.Thread(target=Poller(f"p{n}", consumer.context).run) for n in range(4)]
    with caplog.at_level("INFO"):
        for poller in pollers:
            poller.start()
        wait_for(lambda: "waiting for SQS" in caplog.messages)
        wait_for(lambda: made >= 16, what="four attempts of each")
        away.clear()
        wait_for(lambda: "SQS is back" in caplog.messages)
        consumer.stop.set()
        for poller in pollers:
            poller.join(10)

    said = [message for message in caplog.messages if "SQS" in message]
    assert said == ["waiting for SQS", "SQS is back"]
    assert "ExpiredToken" in caplog.records[caplog.messages.index("waiting for SQS")].__dict__["reason"]


def test_injected_faults_fail_the_share_of_messages_that_was_asked_for() -> None:
    deliveries = [arrival(number) for number in range(2000)]

    failed = FaultInjector(parse_faults("fail=0.25"), threading.Event())(deliveries)
    again = FaultInjector(parse_faults("fail=0.25"), threading.Event())(deliveries)

    assert failed.keys() == again.keys()
    assert 400 < len(failed) < 600
    assert FaultInjector(parse_faults(""), threading.Event())(deliveries) == {}

"""What is called dead agrees with the dead-letter queue; what no queue holds any more is lost."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from local.emulators import aws_environment, create_resources, start_emulator
from local.process import Process, stop_all
from pipeline.aws import sqs_client
from pipeline.message import Delivery
from pipeline.store.dead_letters import DeadLetter
from tests.support.consuming import TestConsumer, refuse, send
from tests.support.dead_letters import die, fail, open_dead_letters
from tests.support.emulators import Names
from tests.support.examples import arrival, arrived_again, raw_arrival
from tests.support.ports import free_port
from tests.support.services import Service, Viewed
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for
from viewer.aws import reconciliation
from viewer.aws.queue_inspection import CannotLook, Queues
from viewer.aws.reconciliation import Reconciler

Restart = Callable[[], None]


@pytest.fixture
def failures(store: Store) -> FailureRecords:
    return FailureRecords(store)


@pytest.fixture
def one_try(create: Callable[..., Names]) -> Names:
    return create("ministack", MAX_RECEIVE_COUNT="1")


@pytest.fixture
def own_emulator(
    emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Names, Restart]]:
    """Queues on an emulator of the test's own, and what kills it and starts it anew with the same queues."""
    port = free_port()
    environment = {
        **aws_environment(port),
        "TOPIC_NAME": "topic",
        "QUEUE_NAME": "queue",
        "MAX_RECEIVE_COUNT": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    running: list[Process] = []

    def restart() -> None:
        if running:
            running[-1].kill()
            running[-1].wait(5)
        running.append(start_emulator(emulator, port, tmp_path / "aws"))
        create_resources(environment)

    restart()
    yield Names("topic", "queue", environment), restart
    stop_all(running, 1)


def bury(names: Names, store: Store, *texts: str) -> TestConsumer:
    """Let these texts end in the dead-letter queue, and return the consumer."""
    consumer = TestConsumer(names, store, *map(refuse, texts))
    before = consumer.dead()
    send(names, *texts)
    wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == before + len(texts))
    return consumer


def reconciler(names: Names, failures: FailureRecords) -> Reconciler:
    return Reconciler(Queues(sqs_client(10), names.queue), failures)


def redriven(names: Names, failures: FailureRecords, message_ids: list[str]) -> tuple[int, int, str | None]:
    """Redrive these; return how many were moved, how many were not found, and why."""
    queue = open_dead_letters(names.queue, failures)
    queue.redrive(message_ids)
    wait_for(lambda: (progress := queue.progress()) and not progress.under_way)
    progress = queue.progress()
    assert progress
    assert progress.status == "completed"
    return progress.moved, progress.not_found, progress.reason


def previews(letters: list[DeadLetter]) -> list[str]:
    return sorted(letter.preview for letter in letters)


def look_at_nothing(_: Queues, __: object) -> None:
    raise CannotLook("as on AWS")


# ---- the emulator forgets


def test_what_a_restarted_emulator_forgot_is_lost_with_its_queue(
    own_emulator: tuple[Names, Restart], store: Store, failures: FailureRecords
) -> None:
    names, restart = own_emulator
    bury(names, store, "a", "b")
    fail(store, replace(raw_arrival("left", queue="queue"), receive_count=1), last=False)
    restart()
    consumer = bury(names, store, "c")

    assert reconciler(names, failures).reconcile() == 3

    assert previews(failures.dead_letters()) == ["c"]
    assert consumer.dead() == 1
    lost = failures.lost()
    assert previews(lost) == ["a", "b", "left"]
    assert {(letter.status, letter.lost_reason) for letter in lost} == {("lost", "queue")}

    moved, not_found, reason = redriven(names, failures, [lost[0].message_id])

    assert (moved, not_found) == (0, 1)
    assert "not found in the dead-letter queue" in str(reason)
    assert (previews(failures.dead_letters()), len(failures.lost())) == (["c"], 3)


def test_a_restart_is_noticed_on_the_page_and_what_was_lost_can_be_removed(
    own_emulator: tuple[Names, Restart],
    store: Store,
    failures: FailureRecords,
    start: Callable[..., Service],
    page: Page,
) -> None:
    names, restart = own_emulator
    bury(names, store, "a", "b")
    viewer = start("viewer", {**names.environment, "DATABASE_URL": store.url})
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{viewer.url}/?tab=dead")
    expect(page.locator(".card")).to_have_count(2)
    restart()
    bury(names, store, "c")

    expect(page.get_by_role("heading", name="Lost with their queue 2")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("checkbox")).to_have_count(1)
    expect(page.locator("#dead-count")).to_have_text("1")
    page.locator(".card summary", has_text="b is refused").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("heading", name="Lost with their queue 1")).to_be_visible()
    page.get_by_role("button", name="Remove all lost messages").click()

    expect(page.get_by_role("heading", name="Lost messages")).to_be_hidden()
    assert (previews(failures.dead_letters()), failures.lost()) == (["c"], [])


def test_every_queue_is_reconciled(
    create: Callable[..., Names], store: Store, failures: FailureRecords, start: Callable[..., Service]
) -> None:
    names, other = create("ministack"), create("ministack")
    die(store, "phantom", names.queue)
    die(store, "of another queue", other.queue)
    die(store, "of an unknown queue", "unknown")

    start("viewer", {**names.environment, "DATABASE_URL": store.url})

    wait_for(lambda: previews(failures.lost()) == ["of another queue", "phantom"])
    assert previews(failures.dead_letters()) == ["of an unknown queue"]


# ---- without a look into the queues, as on AWS


def test_queues_created_anew_are_recognised_without_a_look(
    one_try: Names, store: Store, failures: FailureRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queues, "look", look_at_nothing)
    monkeypatch.setattr(reconciliation, "MAX_CLOCK_DIFFERENCE", timedelta())
    die(store, "before", one_try.queue)
    with store.connection() as connection:
        connection.execute("UPDATE failures SET last_failed_at = now() - interval '1 hour'")
    die(store, "after", one_try.queue)

    reconciler(one_try, failures).reconcile()

    assert previews(failures.dead_letters()) == ["after"]
    assert [letter.lost_reason for letter in failures.lost()] == ["queue"]


def test_what_sqs_no_longer_retains_is_lost(
    one_try: Names, store: Store, failures: FailureRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queues, "look", look_at_nothing)
    kept, expired = (
        replace(raw_arrival(text, queue=one_try.queue), sent_at=datetime.now(UTC) - timedelta(days=days))
        for text, days in (("kept", 13), ("expired", 15))
    )
    fail(store, kept, expired)

    reconciler(one_try, failures).reconcile()

    assert previews(failures.dead_letters()) == ["kept"]
    assert [(letter.preview, letter.lost_reason) for letter in failures.lost()] == [("expired", "retention")]


def test_what_should_be_in_queues_that_stay_empty_is_missing(
    one_try: Names, store: Store, failures: FailureRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queues, "look", look_at_nothing)
    die(store, "purged", one_try.queue)
    reconciling = reconciler(one_try, failures)
    reconciling.reconcile()
    assert previews(failures.dead_letters()) == ["purged"]
    monkeypatch.setattr(reconciliation, "EMPTY_SECONDS", 0)

    reconciling.reconcile()

    assert failures.dead_letters() == []
    assert [letter.lost_reason for letter in failures.lost()] == ["missing"]


def test_a_redrive_corrects_the_record_of_what_it_does_not_find(
    one_try: Names, store: Store, failures: FailureRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queues, "look", look_at_nothing)
    consumer = bury(one_try, store, "there", "other")
    phantom = die(store, "phantom", one_try.queue)
    [there] = [letter.message_id for letter in failures.dead_letters() if letter.preview == "there"]

    assert redriven(one_try, failures, [phantom])[:2] == (0, 1)

    assert previews(failures.lost()) == ["phantom"]
    assert previews(failures.dead_letters()) == ["other", "there"]
    assert redriven(one_try, failures, [there]) == (1, 0, None)
    assert consumer.dead() == 1


def test_what_somebody_else_is_receiving_is_not_given_up(
    one_try: Names, store: Store, failures: FailureRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queues, "look", look_at_nothing)
    bury(one_try, store, "a")
    [letter] = failures.dead_letters()
    sqs = sqs_client(10)
    sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=f"{one_try.queue}-dlq")["QueueUrl"])

    moved, not_found, reason = redriven(one_try, failures, [letter.message_id])

    assert (moved, not_found) == (0, 1)
    assert "try again later" in str(reason)
    assert previews(failures.dead_letters()) == ["a"]


# ---- with a look


def test_what_another_tool_took_is_missing_and_what_is_found_again_is_dead(
    create: Callable[..., Names], emulator: str, store: Store, failures: FailureRecords
) -> None:
    names = create(emulator, MAX_RECEIVE_COUNT="1")
    bury(names, store, "taken", "kept")
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=f"{names.queue}-dlq")["QueueUrl"]
    ids = {letter.preview: letter.message_id for letter in failures.dead_letters()}
    found = wait_for(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    for raw in found:
        if raw["MessageId"] == ids["taken"]:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=raw["ReceiptHandle"])
    wait_for(lambda: TestConsumer(names, store).dead() == 1)

    assert reconciler(names, failures).reconcile() == 1
    assert [(letter.preview, letter.lost_reason) for letter in failures.lost()] == [("taken", "missing")]

    with store.connection() as connection:
        connection.execute("UPDATE failures SET resolved_at = now(), lost_at = NULL")
    die(store, "makes it look", names.queue)
    reconciler(names, failures).reconcile()
    assert previews(failures.dead_letters()) == ["kept"]


def test_reconciling_receives_nothing(
    create: Callable[..., Names], emulator: str, store: Store, failures: FailureRecords
) -> None:
    names = create(emulator, MAX_RECEIVE_COUNT="1")
    bury(names, store, "a", "b")
    queues = Queues(sqs_client(10), names.queue)

    def state() -> list[tuple[str, str, int]]:
        _, dead = queues.depths()
        assert dead
        return [(one.message_id, one.state, one.receive_count) for one in queues.look(dead)]

    before = state()
    assert len(before) == 2
    for _ in range(3):
        assert Reconciler(queues, failures).reconcile() == 0
    assert state() == before


# ---- another message of the same identity


def test_a_dead_letter_stays_while_another_message_of_its_identity_succeeds(
    store: Store, failures: FailureRecords
) -> None:
    dead = arrival({"card": 1}, id="A-1", receive_count=5)
    fail(store, dead)

    failures.resolve([arrival({"card": 2}, id="A-1", receive_count=2)])
    [letter] = failures.dead_letters()
    assert letter.copy_succeeded_at is None
    failures.resolve([arrived_again(dead)])
    [letter] = failures.dead_letters()
    assert letter.copy_succeeded_at is not None

    failures.resolve([dead])
    assert (failures.dead_letters(), failures.lost()) == ([], [])


@pytest.mark.parametrize("succeeds_first", [True, False])
def test_what_was_sent_back_is_resolved_by_its_success_under_another_id(
    store: Store, failures: FailureRecords, succeeds_first: bool
) -> None:
    dead = arrival(id="A-1", receive_count=5)
    fail(store, dead)
    [letter] = failures.dead_letters()
    began = (letter.dead_at or letter.last_failed_at) + timedelta(microseconds=1)
    steps: list[Callable[[], None]] = [
        lambda: failures.resolve([arrived_again(dead)]),
        lambda: failures.mark_redriven(dead.queue, [dead.message_id], began),
    ]
    for step in steps if succeeds_first else reversed(steps):
        step()

    assert failures.dead_letters() == []
    assert open_count(failures, dead) == 0


def test_a_lost_message_that_fails_again_is_dead_again(store: Store, failures: FailureRecords) -> None:
    dead = arrival(receive_count=5)
    fail(store, dead)
    failures.mark_lost(dead.queue, datetime.now(UTC) + timedelta(minutes=1), "missing")
    assert failures.dead_letters() == []

    fail(store, dead)

    assert (len(failures.dead_letters()), failures.lost()) == (1, [])


def open_count(failures: FailureRecords, delivery: Delivery) -> int:
    return failures.open_failures(delivery.queue).count


# ---- the API


@pytest.fixture
def viewer(open_viewer: Callable[..., FlaskClient], store: Store) -> FlaskClient:
    return open_viewer(store)


def test_lost_messages_are_listed_apart_and_removed(
    viewer: FlaskClient, store: Store, failures: FailureRecords
) -> None:
    stored = arrival({"text": "stored"}, receive_count=5)
    store.add([stored])
    fail(store, stored)
    other = die(store, "other")
    failures.mark_lost(stored.queue, datetime.now(UTC) + timedelta(minutes=1), "queue")
    dead = die(store, "dead")

    def listed(status: str) -> list[str]:
        answer = viewer.get(f"/api/dead-letters?status={status}").json
        assert answer
        assert {letter["status"] for letter in answer["dead_letters"]} <= {status}
        return [letter["message_id"] for letter in answer["dead_letters"]]

    assert listed("dead") == [dead]
    assert sorted(listed("lost")) == sorted([other, stored.message_id])
    assert viewer.get(f"/api/dead-letters/{other}").json["lost_reason"] == "queue"  # type: ignore[index]
    [found] = viewer.get("/api/messages?q=status:lost").json["messages"]  # type: ignore[index]
    assert (found["status"], found["preview"]) == ("lost", "stored")
    assert viewer.get("/api/messages?q=status:failed").json["messages"] == []  # type: ignore[index]

    assert viewer.delete(f"/api/dead-letters/{dead}").status_code == 409
    assert viewer.delete("/api/dead-letters/unknown").status_code == 404
    assert viewer.delete("/api/dead-letters").status_code == 400
    assert viewer.delete("/api/dead-letters?status=dead").status_code == 400
    assert viewer.delete(f"/api/dead-letters/{other}").json == {"removed": 1}
    assert viewer.delete("/api/dead-letters?status=lost").json == {"removed": 1}
    assert (listed("dead"), listed("lost")) == ([dead], [])


def test_a_viewer_that_only_reads_removes_nothing(
    open_viewer: Callable[..., FlaskClient], store: Store
) -> None:
    viewer = open_viewer(store, read_only=True)
    assert viewer.delete("/api/dead-letters?status=lost").status_code == 403
    assert viewer.delete("/api/dead-letters/any").status_code == 403


def test_the_page_tells_dead_from_lost(page: Page, viewed: Viewed) -> None:
    failures = FailureRecords(viewed.store)
    die(viewed.store, "lost one")
    failures.mark_lost("broadcasts-consumer", datetime.now(UTC) + timedelta(minutes=1), "missing")
    die(viewed.store, "dead one")

    page.goto(f"{viewed.url}/?tab=dead")

    expect(page.get_by_role("checkbox")).to_have_count(1)
    expect(page.get_by_role("checkbox", name="select dead one")).to_be_visible()
    expect(page.get_by_role("heading", name="No longer in the queue 1")).to_be_visible()

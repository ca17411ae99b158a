"""Dead letters go back to the queue: all or chosen ones, natively or one by one, and none is lost."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from playwright.sync_api import Dialog, Page, expect

from pipeline.aws import Topic, sns_client, sqs_client
from pipeline.message import new_message
from tests.support.consuming import TestConsumer, publish, refuse, send, stored
from tests.support.dead_letters import die, open_dead_letters
from tests.support.emulators import Names
from tests.support.services import Service
from tests.support.stores import FailureRecords, Store
from tests.support.waiting import wait_for
from viewer.aws.mover import Redrive
from viewer.aws.redrive import DeadLetterQueue, RedriveRefused


@pytest.fixture
def names_with_one_try(create: Callable[..., Names], emulator: str) -> Names:
    return create(emulator, MAX_RECEIVE_COUNT="1")


def bury(names: Names, store: Store, *previews: str) -> TestConsumer:
    """Let messages with these previews end in the dead-letter queue, and return the consumer."""
    consumer = TestConsumer(names, store, *[refuse(preview) for preview in previews])
    consumer.take(len(previews))
    wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == len(previews))
    return consumer


def redriven(queue: DeadLetterQueue, message_ids: list[str] | None = None) -> Redrive:
    """Redrive these, or all, and return how it ended."""
    queue.redrive(message_ids)
    return ended(queue)


def ended(queue: DeadLetterQueue) -> Redrive:
    def last() -> Redrive | None:
        progress = queue.progress()
        return None if progress and progress.under_way else progress

    found = wait_for(last, seconds=20, what="the end of the redrive")
    assert found is not None
    return found


def test_all_dead_letters_arrive_after_a_redrive(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 3)
    consumer = bury(names_with_one_try, store, "0", "1", "2")
    assert len(consumer.failures.dead_letters()) == 3

    redrive = redriven(consumer.dead_letters)

    assert (redrive.status, redrive.moved, redrive.total) == ("completed", 3, 3)
    TestConsumer(names_with_one_try, store).take(3)
    assert stored(store) == ["0", "1", "2"]
    assert consumer.failures.dead_letters() == []
    assert consumer.dead() == 0


def publish_in_groups(names: Names, *texts: str) -> None:
    """Publish these; the first letter of each is its group."""
    for text in texts:
        message = new_message("/tests", "test", {"text": text}, subject=text[0])
        assert Topic(sns_client(), names.topic).publish([message]) == []


def test_a_redrive_of_a_fifo_queue_keeps_groups_and_their_order(
    create: Callable[..., Names], emulator: str, store: Store
) -> None:
    """Also within the five minutes in which the queue would drop what it takes for a duplicate."""
    names = create(emulator, ".fifo", MAX_RECEIVE_COUNT="1")
    texts = [f"{group}{number}" for number in range(11, 24) for group in "ab"]
    publish_in_groups(names, *texts)
    consumer = bury(names, store, *texts)

    redrive = redriven(consumer.dead_letters)

    assert (redrive.status, redrive.moved, redrive.total) == ("completed", 26, 26)
    done = TestConsumer(names, store).take(26).done
    for group in "ab":
        of_group = [one.message.preview for one in done if one.message.publication.group_id == group]
        assert of_group == [text for text in texts if text[0] == group]
    assert consumer.failures.dead_letters() == []
    assert consumer.dead() == 0


def test_what_a_fifo_queue_does_not_show_is_neither_redriven_nor_lost(
    create: Callable[..., Names], emulator: str, store: Store
) -> None:
    names = create(emulator, ".fifo", MAX_RECEIVE_COUNT="1")
    texts = [f"a{number}" for number in range(11, 23)]
    publish_in_groups(names, *texts)
    consumer = bury(names, store, *texts)
    letters = {letter.preview: letter.message_id for letter in consumer.failures.dead_letters()}

    redrive = redriven(consumer.dead_letters, [letters["a11"], letters["a22"]])

    assert (redrive.moved, redrive.not_found) == (1, 1)
    assert "only the first ten of a message group" in (redrive.reason or "")
    assert len(consumer.failures.dead_letters()) == 11
    assert consumer.failures.lost(10) == []
    assert consumer.dead() == 11


def test_chosen_dead_letters_go_back_and_the_others_stay(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 3)
    consumer = bury(names_with_one_try, store, "0", "1", "2")
    [chosen] = [letter for letter in consumer.failures.dead_letters() if letter.preview == "1"]

    redrive = redriven(consumer.dead_letters, [chosen.message_id])

    assert (redrive.status, redrive.moved, redrive.total) == ("completed", 1, 1)
    TestConsumer(names_with_one_try, store).take(1)
    assert stored(store) == ["1"]
    assert sorted(letter.preview for letter in consumer.failures.dead_letters()) == ["0", "2"]
    assert consumer.dead() == 2


def test_chosen_dead_letters_are_deleted_for_good_and_the_others_stay(
    names_with_one_try: Names, store: Store
) -> None:
    publish(names_with_one_try, 3)
    consumer = bury(names_with_one_try, store, "0", "1", "2")
    ids = {letter.preview: letter.message_id for letter in consumer.failures.dead_letters()}

    assert consumer.dead_letters.delete([ids["0"], ids["2"], str(uuid.uuid4())]) == 2

    assert [letter.preview for letter in consumer.failures.dead_letters()] == ["1"]
    assert consumer.dead() == 1
    assert redriven(consumer.dead_letters).moved == 1  # at once: it is not hidden
    TestConsumer(names_with_one_try, store).take(1)
    assert stored(store) == ["1"]


def test_a_redriven_message_that_dies_again_is_marked(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 1)
    consumer = bury(names_with_one_try, store, "0")
    assert consumer.failures.dead_letters()[0].redriven_at is None

    consumer.dead_letters.redrive()
    consumer.take(1)

    [letter] = consumer.failures.dead_letters()
    assert letter.redriven_at is not None
    # What dies again meanwhile is not sent back again and again.
    assert ended(consumer.dead_letters).moved <= 2


def test_a_redrive_by_aws_is_watched_and_cancelled(create: Callable[..., Names], store: Store) -> None:
    names = create("localstack", MAX_RECEIVE_COUNT="1")
    publish(names, 5)
    consumer = bury(names, store, *"01234")
    began = consumer.dead_letters.redrive(per_second=1)
    assert (began.status, began.total) == ("running", 5)
    wait_for(lambda: (consumer.dead_letters.progress() or began).moved >= 1)
    with pytest.raises(RedriveRefused):
        consumer.dead_letters.redrive()

    # Any other viewer sees it, too, and may cancel it.
    open_dead_letters(names.queue, consumer.failures).cancel()

    redrive = ended(consumer.dead_letters)
    assert redrive.status == "cancelled"
    assert 1 <= redrive.moved < 5
    assert consumer.dead() == 5 - redrive.moved
    TestConsumer(names, store).take(redrive.moved)
    wait_for(lambda: len(consumer.failures.dead_letters()) == 5 - redrive.moved)
    with pytest.raises(RedriveRefused):
        consumer.dead_letters.cancel()


def test_a_redrive_one_by_one_is_watched_and_cancelled(ministack: Names, store: Store) -> None:
    sqs = sqs_client(10)
    dead = sqs.get_queue_url(QueueName=f"{ministack.queue}-dlq")["QueueUrl"]
    for number in range(20):
        sqs.send_message(QueueUrl=dead, MessageBody=str(number))
    queue = open_dead_letters(ministack.queue, FailureRecords(store))

    began = queue.redrive(per_second=10)
    assert (began.status, began.total) == ("running", 20)
    wait_for(lambda: (queue.progress() or began).moved >= 5)
    with pytest.raises(RedriveRefused):
        queue.redrive(["other"])
    with pytest.raises(RedriveRefused):
        queue.delete(["other"])
    queue.cancel()

    redrive = ended(queue)
    consumer = TestConsumer(ministack, store)
    assert redrive.status == "cancelled"
    assert 5 <= redrive.moved < 20
    assert (consumer.left_in_queue(), consumer.dead()) == (redrive.moved, 20 - redrive.moved)
    with pytest.raises(RedriveRefused):
        queue.cancel()


def test_what_the_queue_has_forgotten_is_no_dead_letter_after_a_redrive_of_all(
    names_with_one_try: Names, store: Store
) -> None:
    die(store, "forgotten", names_with_one_try.queue)
    queue = open_dead_letters(names_with_one_try.queue, FailureRecords(store))

    redrive = redriven(queue)

    assert (redrive.status, redrive.moved) == ("completed", 0)
    assert FailureRecords(store).dead_letters() == []


def test_an_interrupted_redrive_loses_nothing(
    names_with_one_try: Names, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(names_with_one_try, "a", "b")
    consumer = bury(names_with_one_try, store, "a", "b")
    chosen = [letter.message_id for letter in consumer.failures.dead_letters()]

    def cut(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="cut")

    with monkeypatch.context() as patch:
        patch.setattr(consumer.dead_letters._sqs, "delete_message", cut)
        redrive = redriven(consumer.dead_letters, chosen)
    assert redrive.status == "failed"
    assert "cut" in (redrive.reason or "")

    other = TestConsumer(names_with_one_try, store)
    other.take(1)
    monkeypatch.setattr("viewer.aws.mover.HIDDEN_SECONDS", 1)
    wait_for(lambda: (redriven(consumer.dead_letters, chosen), consumer.dead())[1] == 0, seconds=20)
    wait_for(lambda: (other.poller.poll_once(), stored(store))[1] == ["a", "b"])


# ---- at the page


@pytest.fixture
def poisoned(
    names_with_one_try: Names, start: Callable[..., Service], database_url: str, store: Store, tmp_path: Path
) -> Callable[..., Service]:
    """Bury these texts by a consumer that refuses poison, mend it, and return a viewer."""
    environment = {**names_with_one_try.environment, "DATABASE_URL": database_url}

    def bury_and_mend(*texts: str) -> Service:
        mended = tmp_path / "mended"
        start(
            "consumer", environment, HANDLER="tests.support.handlers:refuse_poison,store", MENDED=str(mended)
        )
        send(names_with_one_try, *texts)
        wait_for(lambda: len(FailureRecords(store).dead_letters()) == len(texts))
        # The consumer that asks next moves what may not be received again.
        counter = TestConsumer(names_with_one_try, store)
        wait_for(lambda: counter.dead() == len(texts), what="dead letters")
        mended.touch()
        return start("viewer", environment)

    return bury_and_mend


def test_dead_letters_come_back_by_the_buttons_of_the_page(
    page: Page, poisoned: Callable[..., Service], names_with_one_try: Names, store: Store
) -> None:
    viewer = poisoned("poison 1", "poison 2", "poison 3")
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.goto(f"{viewer.url}/?tab=dead")

    page.get_by_role("checkbox", name="select poison 2").check()
    page.get_by_role("button", name="Redrive 1").click()
    expect(page.locator("#toast")).to_have_text(f"1 sent back to {names_with_one_try.queue}")
    expect(page.locator(".card")).to_have_count(2)
    wait_for(lambda: stored(store) == ["poison 2"])
    page.get_by_role("button", name="Redrive all").click()

    expect(page.get_by_text("No dead letters.")).to_be_visible(timeout=10_000)
    wait_for(lambda: stored(store) == ["poison 1", "poison 2", "poison 3"])
    queue = names_with_one_try.queue
    assert [question.partition("?")[0] for question in asked] == [
        f"Send 1 dead letter from {queue}-dlq back to {queue}",
        f"Send 2 dead letters from {queue}-dlq back to {queue}",
    ]


def test_dead_letters_are_deleted_by_the_button_of_the_page(
    page: Page, poisoned: Callable[..., Service]
) -> None:
    viewer = poisoned("poison 1", "poison 2", "poison 3")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{viewer.url}/?tab=dead")

    page.get_by_role("checkbox", name="select poison 1").check()
    page.get_by_role("checkbox", name="select poison 3").check()
    page.get_by_role("button", name="Delete 2").click()

    expect(page.locator("#toast")).to_have_text("2 deleted")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text("poison 2")
    assert viewer.get("/api/dead-letters/redrive").json()["waiting"] == 1


def test_a_redrive_is_watched_and_cancelled_at_the_page(
    page: Page, create: Callable[..., Names], emulator: str, start: Callable[..., Service], database_url: str
) -> None:
    names = create(emulator, MAX_RECEIVE_COUNT="1")
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    for number in range(20):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    ask: Any = {"QueueUrl": url, "VisibilityTimeout": 0, "WaitTimeSeconds": 0, "MaxNumberOfMessages": 10}
    while sqs.receive_message(**ask).get("Messages"):
        pass
    viewer = start("viewer", {**names.environment, "DATABASE_URL": database_url})
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{viewer.url}/?tab=dead")

    page.get_by_label("Max per second").fill("4")
    page.get_by_role("button", name="Redrive all").click()
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of 20 sent back"))).to_be_visible()
    expect(page.get_by_role("button", name="Redrive all")).to_be_disabled()
    page.reload()
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator("#toast")).to_contain_text(re.compile("sent back to .*, then cancelled"))
    expect(page.get_by_role("button", name="Redrive all")).to_be_enabled()


def test_an_edited_copy_of_a_dead_letter_and_its_original_lead_to_each_other(
    page: Page, poisoned: Callable[..., Service], store: Store
) -> None:
    viewer = poisoned("poison, a text")
    page.goto(f"{viewer.url}/?tab=dead")
    page.locator("summary", has_text="poison, a text").click()
    page.get_by_role("button", name="Edit and resend").click()
    text = page.get_by_label("A text or a whole CloudEvent")
    text.fill(text.input_value().replace("poison, a text", "mended"))
    page.get_by_role("button", name="Publish").click()
    wait_for(lambda: stored(store) == ["mended"])

    page.get_by_role("link", name="Messages").click()
    page.locator("tr.message").click()
    page.locator("#detail").get_by_role("link", name="/sqs/").click()
    copies = page.locator(".card details[open]").get_by_text("Copy: ")
    expect(copies).to_be_visible()
    copies.get_by_role("link").click()

    expect(page.locator("#detail h2")).to_have_text("mended")

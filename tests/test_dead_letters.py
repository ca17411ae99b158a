"""Dead letters go back to the queue: all or chosen ones, natively or one by one, and none is lost."""

from collections.abc import Callable

import pytest
from botocore.exceptions import EndpointConnectionError

from pipeline.store import Store
from tests.conftest import Names, wait_for
from tests.consuming import TestConsumer
from tests.test_consuming import publish, refuse, send, stored


@pytest.fixture
def names_with_one_try(create: Callable[..., Names], emulator: str) -> Names:
    return create(emulator, MAX_RECEIVE_COUNT="1")


def bury(names: Names, store: Store, *previews: str) -> TestConsumer:
    """Let messages with these previews end in the dead-letter queue, and return the consumer."""
    consumer = TestConsumer(names, store, *[refuse(preview) for preview in previews])
    consumer.take(len(previews))
    wait_for(lambda: (consumer.poller.poll_once(), consumer.dead())[1] == len(previews))
    return consumer


def test_all_dead_letters_arrive_after_a_redrive(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 3)
    consumer = bury(names_with_one_try, store, "0", "1", "2")
    assert len(consumer.failures.dead_letters()) == 3

    consumer.dead_letters.redrive_all()

    TestConsumer(names_with_one_try, store).take(3)
    assert stored(store) == ["0", "1", "2"]
    assert consumer.failures.dead_letters() == []
    assert consumer.dead() == 0


def test_chosen_dead_letters_go_back_and_the_others_stay(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 3)
    consumer = bury(names_with_one_try, store, "0", "1", "2")
    [chosen] = [letter for letter in consumer.failures.dead_letters() if letter.preview == "1"]

    assert consumer.dead_letters.redrive([chosen.message_id]) == [chosen.message_id]

    TestConsumer(names_with_one_try, store).take(1)
    assert stored(store) == ["1"]
    assert sorted(letter.preview for letter in consumer.failures.dead_letters()) == ["0", "2"]
    assert consumer.dead() == 2


def test_a_redriven_message_that_dies_again_is_marked(names_with_one_try: Names, store: Store) -> None:
    publish(names_with_one_try, 1)
    consumer = bury(names_with_one_try, store, "0")
    assert consumer.failures.dead_letters()[0].redriven_at is None

    consumer.dead_letters.redrive_all()
    consumer.take(1)

    [letter] = consumer.failures.dead_letters()
    assert letter.redriven_at is not None


def test_an_interrupted_redrive_loses_nothing(
    names_with_one_try: Names, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(names_with_one_try, "a", "b")
    consumer = bury(names_with_one_try, store, "a", "b")

    def cut(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="cut")

    with monkeypatch.context() as patch:
        patch.setattr(consumer.dead_letters._sqs, "delete_message", cut)
        with pytest.raises(EndpointConnectionError):
            consumer.dead_letters.redrive(None)

    other = TestConsumer(names_with_one_try, store)
    other.take(1)
    monkeypatch.setattr("pipeline.dead_letters.HIDDEN_SECONDS", 1)
    wait_for(lambda: (consumer.dead_letters.redrive(None), consumer.dead())[1] == 0, seconds=20)
    wait_for(lambda: (other.poller.poll_once(), stored(store))[1] == ["a", "b"])

"""Faults on purpose: the share is chosen at the page, and consumers that have FAULTS follow."""

import threading
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from consumer.faults import FaultInjector, parse_faults
from consumer.handler import StoreHandler
from pipeline.aws import Topic, sns_client
from pipeline.message import new_message
from pipeline.store.faults import FaultShare
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.stores import Store
from tests.support.waiting import wait_for

OpenViewer = Callable[..., FlaskClient]


def choose(viewer: FlaskClient, fail: object) -> TestResponse:
    return viewer.put("/api/faults", json={"fail": fail})


def shown(viewer: FlaskClient) -> object:
    return viewer.get("/api/pipeline").json["faults"]  # type: ignore[index]


def test_a_share_chosen_at_the_page_fails_messages_until_it_is_taken_back(
    open_viewer: OpenViewer, store: Store, ministack: Names
) -> None:
    stop = threading.Event()
    injector = FaultInjector(parse_faults("fail=1"), stop)
    consumer = TestConsumer(ministack, store, injector, StoreHandler(store))
    viewer = open_viewer(store, ministack.topic)
    following = threading.Thread(target=injector.follow, args=[FaultShare(store.database)])
    following.start()
    try:
        wait_for(lambda: shown(viewer) == {"fail": 1})
        Topic(sns_client(), ministack.topic).publish([new_message("/tests", "t", {})])
        failed = consumer.take(1).failed
        assert [one.error_type for one in failed] == ["InjectedFault"]

        assert choose(viewer, 0).json == {"fail": 0}
        wait_for(lambda: shown(viewer) == {"fail": 0})
        # The consumer follows within a second, and tries again meanwhile.
        wait_for(lambda: consumer.take(1).done)
    finally:
        stop.set()
        following.join()


def test_without_a_consumer_that_has_faults_none_can_be_chosen(open_viewer: OpenViewer, store: Store) -> None:
    viewer = open_viewer(store)

    assert shown(viewer) is None
    assert choose(viewer, 0.5).status_code == 409


def test_a_viewer_that_only_reads_lets_nothing_fail(open_viewer: OpenViewer, store: Store) -> None:
    FaultShare(store.database).begin(0.1)

    assert choose(open_viewer(store, read_only=True), 0.5).status_code == 403
    assert FaultShare(store.database).read() == 0.1


@pytest.mark.parametrize("fail", [-0.1, 1.1, "0.5", True, None, float("nan")])
def test_a_wrong_share_is_refused(open_viewer: OpenViewer, store: Store, fail: object) -> None:
    FaultShare(store.database).begin(0.1)

    answer = choose(open_viewer(store), fail)

    assert (answer.status_code, answer.json["parameter"]) == (400, "fail")  # type: ignore[index]

"""A message concerns itself alone: whatever is wrong with one, the others are stored at their first try.

ATTACK_EXAMPLES raises the number of batches that Hypothesis writes.
"""

import json
import os
from collections.abc import Callable, Sequence

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings

from pipeline.aws import sqs_client
from tests.support.consuming import TestConsumer
from tests.support.emulators import Names
from tests.support.hostile import Sent, batches
from tests.support.stores import Store
from tests.support.waiting import wait_for

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "15"))

# What became of SQS messages: in which table, at which try, why.
FATES = """
    SELECT message_id, 'stored', receive_count FROM messages WHERE message_id = ANY(%(ids)s)
    UNION ALL
    SELECT message_id, 'repeated', receive_count FROM duplicates WHERE message_id = ANY(%(ids)s)
    UNION ALL
    SELECT message_id, error_type || ': ' || error, tries FROM failures WHERE message_id = ANY(%(ids)s)"""


def put(names: Names, one: Sent) -> str | None:
    """Put it on the queue; return its SQS id, or None if the queue does not take it."""
    sqs = sqs_client(10)
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]
    try:
        return sqs.send_message(QueueUrl=url, MessageBody=one.body, MessageAttributes=one.attributes)[  # type: ignore[arg-type]
            "MessageId"
        ]
    except (ClientError, BotoCoreError, UnicodeError):
        return None


def fates(store: Store, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    with store.connection() as connection:
        return {id_: (fate, tries) for id_, fate, tries in connection.execute(FATES, {"ids": list(ids)})}


def test_hostile_messages_leave_the_innocent_ones_of_their_batch_alone(
    names: Names, store: Store, open_viewer: Callable[..., FlaskClient]
) -> None:
    consumer, viewer = TestConsumer(names, store), open_viewer(store, names.topic)
    kinds: dict[str | None, int] = {}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(batches())
    def attack(batch: list[Sent]) -> None:
        sent = {id_: one for one in batch if (id_ := put(names, one))}
        wait_for(lambda: (consumer.poller.poll_once(), len(fates(store, [*sent])) == len(sent))[1])
        found = fates(store, [*sent])
        wrong = {id_: fate for id_, fate in found.items() if fate not in (("stored", 1), ("repeated", 1))}
        assert {sent[id_]: fate for id_, fate in wrong.items()} == {}
        for one in sent.values():
            kinds[one.kind] = kinds.get(one.kind, 0) + 1

    attack()

    assert consumer.left_in_queue() == 0
    listed = 0
    while page := viewer.get(f"/api/messages?limit=100&after={listed}").json["messages"]:  # type: ignore[index]
        for one in page:
            answer = viewer.get(f"/api/messages/{one['seq']}")
            assert answer.status_code == 200
            assert answer.json is not None
        listed = page[0]["seq"]
    lines = viewer.get("/api/messages.ndjson").data.decode().splitlines()
    exported = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert len(exported) == store.count() > 0
    print(f"{sum(kinds.values())} messages: {kinds}")

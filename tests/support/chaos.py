"""What the chaos tests share."""

import contextlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import psycopg

from pipeline.aws import Topic
from pipeline.message import Message
from tests.support.services import Service
from tests.support.stores import Store

MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "400"))
PATIENCE_SECONDS = 60 + MESSAGES / 20


def publish_all(topic: Topic, wanted: list[Message]) -> None:
    batches = [wanted[start : start + 10] for start in range(0, len(wanted), 10)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(topic.publish, batches)) == [[]] * len(batches)


def stored_ids(store: Store) -> list[str]:
    """Return the ids of what is stored; the first call after an outage may meet it, a second one does not."""
    with contextlib.suppress(psycopg.OperationalError), store.connection() as connection:
        return [row[0] for row in connection.execute("SELECT id FROM messages ORDER BY seq")]
    with store.connection() as connection:
        return [row[0] for row in connection.execute("SELECT id FROM messages ORDER BY seq")]


def announced(producer: Service) -> set[str]:
    lines = (json.loads(line) for line in producer.log().splitlines() if line.endswith("}"))
    return {line["message_id"] for line in lines if line["message"] == "published"}

"""FIFO topics and queues: their names, and the group and deduplication id of what is published.

Within a message group, SNS and SQS keep the order ("Message grouping for FIFO topics", AWS).
"""

import hashlib
import re

from pipeline.json_text import read_json
from pipeline.message import Message

SUFFIX = ".fifo"
# CloudEvents attribute that says which events must stay in order ("Partitioning", CloudEvents extensions).
PARTITION_KEY = "partitionkey"
# "MessageGroupId" in the reference of Publish, AWS.
_GROUP_ID = re.compile(r"[!-~]{1,128}")


def is_fifo(name: str) -> bool:
    """Return whether this is the name, the ARN or the URL of a FIFO topic or queue."""
    return name.endswith(SUFFIX)


def group_of(message: Message) -> str:
    """Return the group to publish a message in: its `partitionkey`, else its `subject`, else its source.

    A value that no group id can be is hashed.
    """
    event = read_json(message.body)
    members = event if isinstance(event, dict) else {}
    named = (members.get(name) for name in (PARTITION_KEY, "subject"))
    group = next((value for value in named if isinstance(value, str) and value), message.source)
    if _GROUP_ID.fullmatch(group):
        return group
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()


def deduplication_id(message: Message) -> str:
    """Return an id that another message has only if identity and content are the same.

    The event's id alone would not do: SNS drops the second message with an id in silence, be it of another
    source, or a conflict that should be seen.
    """
    return hashlib.sha256(message.identity + message.content).hexdigest()


def check_delivery(topic_name: str, queue_name: str) -> None:
    """Raise ValueError if SNS cannot deliver from this topic to this queue ("Subscribe", AWS)."""
    if is_fifo(queue_name) and not is_fifo(topic_name):
        raise ValueError(
            f"QUEUE_NAME={queue_name!r} is not allowed: TOPIC_NAME={topic_name!r} is a standard topic, and "
            "SNS delivers to a FIFO queue only from a FIFO topic"
        )

"""A client of the API of Fanout, for tests that wait for messages."""

from fanout_client.client import DEFAULT_URL, Fanout
from fanout_client.errors import FanoutError, NoMatch, UnexpectedMatch
from fanout_client.messages import Message, NearMiss, Published

__all__ = [
    "DEFAULT_URL",
    "Fanout",
    "FanoutError",
    "Message",
    "NearMiss",
    "NoMatch",
    "Published",
    "UnexpectedMatch",
]

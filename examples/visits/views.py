"""The messages of this example: one for each view of a page."""

import re
import socket
from typing import Any

from pipeline.message import Message, new_message

TOPIC = "visits"
VIEW = "visits.view"
ROBOT_VIEW = "visits.robot"  # which the filter policy keeps from the queue of the counter
PAGE_NAME = re.compile(r"[a-z0-9-]{1,50}")


def new_view(page: str, user_agent: str) -> Message:
    """Return the message of a view of this page, with an identity that no other view has."""
    kind = ROBOT_VIEW if "bot" in user_agent.lower() else VIEW
    return new_message(f"/visits/{socket.gethostname()}", kind, {"text": f"{page} was viewed", "page": page})


def page_of(message: Message) -> str:
    """Return the page that was viewed. Raises ValueError if the message does not name one."""
    page: Any = message.data.get("page") if isinstance(message.data, dict) else None
    if not isinstance(page, str) or not PAGE_NAME.fullmatch(page):
        raise ValueError("data.page is not the name of a page")
    return page

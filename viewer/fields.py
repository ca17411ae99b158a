"""Fields: values of a message by the names that a search uses, such as `data.order.id` or `attr.tenant`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

MAX_LENGTH = 200
MAX_VALUES = 5  # of a path that leads through arrays


def field_text(name: str, data: Any, attributes: Mapping[str, str]) -> str | None:
    """Return the value of a field as text, None if the message has no such field.

    A path that leads through an array gives the values of its items, separated by commas. A long text is cut.
    """
    if name.startswith("attr."):
        value = attributes.get(name[5:])
        return None if value is None else value[:MAX_LENGTH]
    path = name.removeprefix("data.").split(".")
    found = [text for _, text in zip(range(MAX_VALUES), _texts(data, path), strict=False)]
    return ", ".join(found)[:MAX_LENGTH] if found else None


def _texts(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, path)
    elif not path:
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        # A name may contain dots itself.
        for end in range(1, len(path) + 1):
            name = ".".join(path[:end])
            if name in value:
                yield from _texts(value[name], path[end:])

"""Fields: values of a message by the names that a search uses: `data.order.id`, `attr.tenant`, `topic`.

As in a search, letter case does not matter, arrays add nothing to a path, and names may contain dots.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

OWN_FIELDS = ("topic", "queue", "subject")  # these hide fields of the data, which have `data.` before them
MAX_LENGTH = 200
MAX_VALUES = 5  # of a path that leads through arrays
MAX_VISITED = 10_000  # values of the data


def field_text(
    name: str, data: Any, attributes: Mapping[str, str], own: Mapping[str, str | None]
) -> str | None:
    """Return the value of a field as text, None if the message has no such field; `own` are its OWN_FIELDS.

    A path that leads through an array gives the values of its items, separated by commas. A long text is cut.
    """
    key = name.casefold()
    if key in OWN_FIELDS:
        text = own[key]
        return None if text is None else text[:MAX_LENGTH]
    found = list(islice(field_values(name, data, attributes), MAX_VALUES))
    return ", ".join(found)[:MAX_LENGTH] if found else None


def field_values(name: str, data: Any, attributes: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of a field as texts: a text as it is, anything else as JSON."""
    path = name.casefold()
    if path.startswith("attr."):
        yield from (value for key, value in attributes.items() if key.casefold() == path[5:])
        return
    for value in _values_at(data, path.removeprefix("data.")):
        yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _values_at(data: Any, path: str) -> Iterator[Any]:
    waiting = [(data, path)]
    for _ in range(MAX_VISITED):
        if not waiting:
            return
        value, rest = waiting.pop()
        if isinstance(value, list):
            waiting.extend((inner, rest) for inner in reversed(value[:MAX_VISITED]))
        elif not rest:
            yield value
        elif isinstance(value, dict):
            for name, inner in reversed(value.items()):
                key = name.casefold()
                if rest == key or rest.startswith(f"{key}."):
                    waiting.append((inner, rest[len(key) + 1 :]))

"""Whatever shows a part of a message is made by `Views`, which masks it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from viewer.api import models

VIEWER = Path(models.__file__).parent.parent
SHOWN = {
    models.MessageSummary,
    models.NearMiss,
    models.WholeMessage,
    models.ExportedMessage,
    models.MessageDetail,
    models.Delivery,
    models.DeadLetter,
    models.DeadLetterDetail,
    models.FacetValue,
    models.WaitingMessage,
}


def users_of(names: set[str]) -> Iterator[str]:
    """Yield the files of the viewer that call one of these, or pass it to a call."""
    for path in VIEWER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                used = [node.func, *node.args]
                if any(isinstance(one, ast.Name) and one.id in names for one in used):
                    yield path.relative_to(VIEWER).as_posix()


def test_only_views_make_what_shows_a_message() -> None:
    made = set(users_of({shown.__name__ for shown in SHOWN}))

    # The page needs the names of the fields for its empty row.
    assert made == {"api/views.py", "pages.py"}


def test_only_the_app_makes_views() -> None:
    assert set(users_of({"Views"})) == {"app.py"}
    assert set(users_of({"Mask"})) == {"app.py"}
    assert set(users_of({"NO_MASK"})) == set()

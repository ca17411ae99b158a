"""The page's JavaScript modules: imports point one way, and the page loads all of them at once."""

import json
import os.path
import re
from collections.abc import Set
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath

from viewer import app

WEB = Path(app.__file__).parent / "web"
STATIC = WEB / "static"

# A static import or re-export, which may span lines, or an import() at the time of use.
IMPORT = re.compile(
    r"""^(?:import\s+(?:[\w\s{},*$]+\bfrom\s+)?|export\s+[\w\s{},*$]+\bfrom\s+)["']([^"']+)["']"""
    r"""|\bimport\(\s*["'`]?([^"'`)]*)""",
    re.MULTILINE,
)

# In the vendored modules, which are minified.
VENDOR_IMPORT = re.compile(r"""\bfrom\s*["'](\.[^"'\n]+)["']""")

# Loaded a moment after the page.
LATER = {
    "core/copy_as.js",
    "core/resend.js",
    "live/notifications.js",
    "panes/diff.js",
    "views/dead_letters/view.js",
    "views/help.js",
    "views/metrics/view.js",
    "views/publish/view.js",
    "views/replay/view.js",
    "views/queues/view.js",
    "views/topics/fan.js",
    "views/topics/view.js",
}

# What modules in a room may import: their own room, and these.
MAY_IMPORT = {
    "core": {"vendor"},
    "live": {"core"},
    "panes": {"core"},
    "views": {"core", "panes"},
}


def modules() -> dict[str, set[str]]:
    """Return each module, and those that it imports, as paths below static."""
    return {path.relative_to(STATIC).as_posix(): imports_of(path) for path in STATIC.rglob("*.js")}


def imports_of(path: Path) -> set[str]:
    if is_vendored(path):
        found = VENDOR_IMPORT.findall(path.read_text())
    else:
        found = [static or dynamic for static, dynamic in IMPORT.findall(path.read_text())]
    assert all(name.startswith("./") or name.startswith("../") for name in found), (path, found)
    return {os.path.relpath(path.parent / name, STATIC) for name in found}


def is_vendored(path: Path) -> bool:
    return "vendor" in path.relative_to(STATIC).parts


def room(module: str) -> str:
    """Return the top folder of this module; of main.js and its like, nothing."""
    first, *rest = PurePosixPath(module).parts
    return first if rest else ""


def view(module: str) -> str:
    """Return the view that this module belongs to: a file in views, or a folder."""
    return PurePosixPath(module).parts[1]


def test_every_import_leads_to_a_module() -> None:
    known = modules()

    assert len(known) > 40
    assert {name for found in known.values() for name in found} <= set(known)


def test_imports_point_from_views_to_panes_to_core_and_never_to_another_view() -> None:
    wrong = [
        (module, imported)
        for module, found in modules().items()
        for imported in found
        if room(module) not in ("", "vendor")
        and (
            room(imported) not in MAY_IMPORT[room(module)] | {room(module)}
            or (room(module) == room(imported) == "views" and view(module) != view(imported))
        )
    ]

    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(modules()).prepare()  # raises CycleError, which names the circle


def test_the_page_loads_all_modules_that_it_needs_at_once() -> None:
    known = modules()
    needed = reached_from({"main.js"}, known, without=LATER)
    later = reached_from(LATER, known) - needed
    template = (WEB / "templates" / "page.html").read_text()

    assert set(re.findall(r'^ +"([\w/-]+\.js)",$', template, re.MULTILINE)) == needed - {"main.js"}
    assert set(known) - needed - later == {"docs.js", "early_theme.js", "incomplete.js", "unavailable.js"}


def reached_from(modules: set[str], known: dict[str, set[str]], without: Set[str] = frozenset()) -> set[str]:
    """Return the modules that these need, themselves included."""
    needed: set[str] = set()
    left = list(modules)
    while left:
        module = left.pop()
        if module not in needed and module not in without:
            needed.add(module)
            left.extend(known[module])
    return needed


def test_each_vendored_library_has_its_version_and_its_licence() -> None:
    versions = json.loads((WEB / "package.json").read_text())["dependencies"]

    assert {path.name for path in (STATIC / "vendor").iterdir()} == set(versions)
    assert all((STATIC / "vendor" / name / "LICENSE").read_text() for name in versions)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    lit = (STATIC / "vendor" / "lit-html" / "lit-html.js").read_text()
    assert f'.push("{versions["lit-html"]}")' in lit
    assert f"(v{versions['uplot']})" in (STATIC / "vendor" / "uplot" / "dist" / "uPlot.esm.js").read_text()


def test_no_text_of_a_template_looks_like_a_comment_which_is_not_sent() -> None:
    """See viewer/server/compression.py."""
    ours = [path for path in STATIC.rglob("*.js") if not is_vendored(path)]
    templates = [text for path in ours for text in re.findall(r"`[^`]*`", path.read_text())]

    assert templates
    assert [text for text in templates if re.search(r"^\s*//", text, re.MULTILINE)] == []

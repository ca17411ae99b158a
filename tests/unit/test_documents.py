"""What the documents say is true of the code, and imports run one way."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from tests.support.documents import (
    ALL_SETTINGS,
    README,
    ROOT,
    SERVICES,
    SETTINGS,
    measured_rows,
    repeated_rows,
    run_rows,
    settings_rows,
)
from tests.support.filter_policies import DIFFERENCES, POLICY_DIFFERENCES

DOCUMENTS = [
    path for folder in (".", "docs", "client", "examples/*") for path in sorted(ROOT.glob(f"{folder}/*.md"))
]
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# The SDK's own, and those of localstack-init/create_resources.py.
FOREIGN_SETTINGS = {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    """Return the text without its blocks of code, in which `#` is no heading and `[]` no link."""
    return re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Return the anchors of its headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, target: str) -> bool:
    """Tell whether a link of this document leads to a file, and to a heading of it if it names one."""
    path, _, anchor = target.partition("#")
    file = document.parent / path if path else document
    return file.exists() and (not anchor or anchor in anchors(file))


# ---- Settings


@pytest.mark.parametrize("expected", [*settings_rows(), *run_rows()])
def test_every_setting_is_documented_with_its_default(expected: str) -> None:
    assert f"{expected}\n" in SETTINGS.read_text(), "make readme"


@each_document
def test_no_table_lists_a_setting_that_does_not_exist(document: Path) -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", document.read_text(), re.MULTILINE))
    known = {name.upper() for settings in ALL_SETTINGS for name in settings.model_fields}

    assert listed <= known | FOREIGN_SETTINGS


@pytest.mark.parametrize("settings", ALL_SETTINGS)
def test_every_setting_is_described(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert field.description, name


# ---- What the documents name


@each_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    command = re.compile(r"(?:^|`|sudo |=\S+ )make ((?:[a-z][a-z-]*(?= |`|$) ?)+)", re.MULTILINE)
    # In a block, a command may be followed by a comment or by variables; in prose it ends with its backtick.
    named = {target for run in command.findall(document.read_text()) for target in run.split()}

    assert named <= targets


@each_document
def test_every_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)|<img src=\"([^\"]+)\"", prose(document))

    assert not [target for target in map("".join, links) if not leads_somewhere(document, target)]


@each_document
def test_every_path_that_is_named_exists(document: Path) -> None:
    if document.name == "CHANGELOG.md":
        return  # tells of what was, too
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", prose(document))

    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_chapter_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[a-z-]+\.md)", README.read_text()))

    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} == linked


def test_the_dockerfile_of_the_handlers_chapter_is_the_one_that_is_tested() -> None:
    assert (ROOT / "examples" / "Dockerfile").read_text() in (ROOT / "docs" / "handlers.md").read_text()


def test_the_differences_of_localstack_are_those_that_the_comparison_knows() -> None:
    table = (ROOT / "docs" / "filter-policies.md").read_text().partition("## Differences")[2]
    listed = [row.split(" | ")[0] for row in re.findall(r"^\| (.+) \|$", table, re.MULTILINE)]

    assert listed[2:] == [*DIFFERENCES, *POLICY_DIFFERENCES]


# ---- Figures, length, version


def test_the_readme_repeats_the_figures_of_the_last_benchmark() -> None:
    repeated = repeated_rows(README.read_text())

    assert len(repeated) >= 5
    assert set(repeated) <= set(measured_rows().values()), "make readme"


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.read_text().splitlines()) <= 200


def test_the_version_stands_once_and_reaches_changelog_and_images() -> None:
    """The labels of the manifests are in test_manifests.py."""
    [_, released, *_] = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    command = ["make", "--dry-run", "images", "TAG=a-tag", "REVISION=a-revision"]
    images = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    [built] = [names.split() for names in re.findall(r"^for image in (.+); do", images, re.MULTILINE)]
    assert set(SERVICES) < set(built)
    assert released == VERSION
    assert set(re.findall(r"VERSION=(\S+)", images)) == {VERSION}
    assert "REVISION=a-revision" in images
    for label in ("version", "revision"):
        image_label = f'org.opencontainers.image.{label}="${{{label.upper()}}}"'
        assert (ROOT / "Dockerfile").read_text().count(image_label) == len(built)


# ---- The house


@pytest.mark.parametrize(
    ("package", "may_import"),
    [
        ("pipeline", set()),
        ("producer", {"pipeline"}),
        ("consumer", {"pipeline"}),
        ("viewer", {"pipeline"}),
        ("local", {"pipeline"}),
        ("client", set()),
    ],
)
def test_imports_run_one_way(package: str, may_import: set[str]) -> None:
    ours = {"pipeline", "producer", "consumer", "viewer", "local", "tests"}
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported = {name.partition(".")[0] for name in names}
            assert imported & ours <= may_import | {package}, file

"""What the documents say is true of the code, and imports run one way."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from consumer.settings import ConsumerSettings
from local.settings import RunSettings
from producer.settings import ProducerSettings
from viewer.settings import ViewerSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BENCHMARK = (ROOT / "BENCHMARK.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
SERVICES: dict[str, type[BaseSettings]] = {
    "producer": ProducerSettings,
    "consumer": ConsumerSettings,
    "viewer": ViewerSettings,
}

ALL_SETTINGS: list[type[BaseSettings]] = [*SERVICES.values(), RunSettings]


def row(variable: str, readers: str, field: FieldInfo) -> str:
    if field.is_required():
        default = "required"
    elif field.default in (None, ""):
        default = "unset"
    else:
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        default = f"`{('off', 'on')[value] if isinstance(value, bool) else value}`"
    return f"| `{variable}` | {readers} | {default} | {field.description} |"


def settings_rows() -> list[str]:
    """Return a row for each setting of a service; those of all services first."""
    fields: dict[str, tuple[list[str], FieldInfo]] = {}
    for service, settings in SERVICES.items():
        for name, field in settings.model_fields.items():
            fields.setdefault(name, ([], field))[0].append(service)
    ordered = sorted(fields.items(), key=lambda item: -len(item[1][0]))
    return [
        row(name.upper(), "all" if len(readers) == len(SERVICES) else ", ".join(readers), field)
        for name, (readers, field) in ordered
    ]


def run_rows() -> list[str]:
    return [row(name.upper(), "`make run`", field) for name, field in RunSettings.model_fields.items()]


@pytest.mark.parametrize("expected", [*settings_rows(), *run_rows()])
def test_every_setting_is_in_the_readme_with_its_default(expected: str) -> None:
    assert expected in README


def test_the_readme_lists_no_setting_that_does_not_exist() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    known = {name.upper() for settings in ALL_SETTINGS for name in settings.model_fields}

    assert listed <= known | {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def figures() -> str:
    """Return what was measured, on what, and the goals: of BENCHMARK.md all but the details."""
    parts = re.findall(r"^## .*\n\n(.*\n\n(?:\|.*\n)+)", BENCHMARK, re.MULTILINE)
    return "\n".join(parts)


def test_the_readme_has_the_figures_of_the_benchmark() -> None:
    assert figures().count("| measure | figure | goal |") == 2
    assert figures() in README


def test_every_make_target_of_the_readme_exists_and_says_what_it_does() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))

    assert set(re.findall(r"(?:^|`|sudo )make ([a-z][a-z-]*)", README, re.MULTILINE)) <= targets


def test_every_path_that_the_readme_names_exists() -> None:
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)|<img src=\"([^\"]+)\"", README):
        assert (ROOT / "".join(link)).exists(), link


@pytest.mark.parametrize(
    ("package", "may_import"),
    [
        ("pipeline", set()),
        ("producer", {"pipeline"}),
        ("consumer", {"pipeline"}),
        ("viewer", {"pipeline"}),
        ("local", {"pipeline"}),
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


@pytest.mark.parametrize("settings", ALL_SETTINGS)
def test_every_setting_is_described(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert field.description, name


def write_tables() -> None:
    """Write the settings as they are, and the figures as they were measured last, into the README."""
    text = README
    for rows in (settings_rows(), run_rows()):
        first = next(line for line in text.splitlines() if line.startswith(rows[0].split("|")[1].join("||")))
        table = re.compile(re.escape(first) + r"\n(?:\|.*\n)*")
        text = table.sub(lambda _, rows=rows: "\n".join(rows) + "\n", text, count=1)  # type: ignore[misc]
    section = re.compile(r"(?<=^### How fast\n\n).*?(?=^## )", re.MULTILINE | re.DOTALL)
    (ROOT / "README.md").write_text(section.sub(lambda _: figures() + "\n", text))


if __name__ == "__main__":
    write_tables()

"""What the documents take from the code and the last benchmark. `make readme` runs this to write it.

The tables of docs/settings.md come from the settings. The benchmarks write docs/benchmark.md themselves;
README.md repeats some of those figures.
"""

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from consumer.settings import ConsumerSettings
from local.settings import ExampleSettings, RunSettings, WatchSettings
from producer.settings import ProducerSettings
from viewer.settings import ViewerSettings

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SETTINGS = ROOT / "docs" / "settings.md"
BENCHMARK = ROOT / "docs" / "benchmark.md"

SERVICES: dict[str, type[BaseSettings]] = {
    "producer": ProducerSettings,
    "consumer": ConsumerSettings,
    "viewer": ViewerSettings,
}
ALL_SETTINGS: list[type[BaseSettings]] = [*SERVICES.values(), RunSettings, ExampleSettings, WatchSettings]

FIGURES_HEAD = "| measure | figure | goal |\n| --- | --- | --- |\n"
TABLE = r"(?:\|.*\n)+"


def settings_rows() -> list[str]:
    """Return a row for each setting of a service; those of all services first."""
    # One variable may mean different things to two services.
    fields: dict[tuple[str, str | None], tuple[list[str], FieldInfo]] = {}
    for service, settings in SERVICES.items():
        for name, field in settings.model_fields.items():
            fields.setdefault((name, field.description), ([], field))[0].append(service)
    ordered = sorted(fields.items(), key=lambda item: -len(item[1][0]))
    return [
        _row(name, "all" if len(readers) == len(SERVICES) else ", ".join(readers), field)
        for (name, _), (readers, field) in ordered
    ]


def run_rows() -> list[str]:
    """Return a row for each setting of `make run` and `make watch`, which differ in some defaults.

    `make example` has those of `make run` and a few of its own.
    """
    readers: dict[str, list[str]] = {}
    own = {
        name: field
        for name, field in ExampleSettings.model_fields.items()
        if name not in RunSettings.model_fields
    }
    for command, fields in (
        ("`make run`", RunSettings.model_fields),
        ("`make example`", own),
        ("`make watch`", WatchSettings.model_fields),
    ):
        for name, field in fields.items():
            readers.setdefault(_row(name, "{}", field), []).append(command)
    return [row.replace("{}", ", ".join(commands)) for row, commands in readers.items()]


def _row(name: str, readers: str, field: FieldInfo) -> str:
    return f"| `{name.upper()}` | {readers} | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory or field.default in (None, ""):
        return "unset"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return f"`{('off', 'on')[value] if isinstance(value, bool) else value}`"


def measured_rows() -> dict[str, str]:
    """Return the rows of docs/benchmark.md that have a goal, by what they measure."""
    tables = re.findall(re.escape(FIGURES_HEAD) + rf"({TABLE})", BENCHMARK.read_text())
    return {_measure(row): row for table in tables for row in table.splitlines()}


def repeated_rows(readme: str) -> list[str]:
    """Return the rows of the README's table of figures."""
    [table] = re.findall(re.escape(FIGURES_HEAD) + rf"({TABLE})", readme)
    return str(table).splitlines()


def _measure(row: str) -> str:
    return row.partition(" | ")[0].removeprefix("| ")


def write() -> None:
    """Write the settings as they are, and the figures as they were last measured."""
    text = SETTINGS.read_text()
    for rows in (settings_rows(), run_rows()):
        first, reader, _ = rows[0].split(" | ", maxsplit=2)
        [table] = re.findall(rf"^{re.escape(first)} \| {reader} \|.*\n{TABLE}", text, re.MULTILINE)
        text = text.replace(table, _lines(rows))
    SETTINGS.write_text(text)

    readme, measured = README.read_text(), measured_rows()
    before = repeated_rows(readme)
    README.write_text(readme.replace(_lines(before), _lines([measured[_measure(row)] for row in before])))


def _lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    write()

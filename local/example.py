"""`make example NAME=…`: `make run` with one of the applications in examples/ beside it."""

import importlib
import sys
from pathlib import Path

from local.__main__ import WholeSystem
from local.applications import Example
from local.emulators import ROOT, create_resources
from local.process import Process
from local.settings import MAX_PARTS, ExampleSettings
from local.system import Environment, Service, run_system
from pipeline.settings import load_settings

EXAMPLES = ROOT / "examples"


class ExampleSystem(WholeSystem):
    """The whole system, with the queues and the services of an example."""

    def __init__(self, settings: ExampleSettings, example: Example) -> None:
        """Start nothing yet."""
        super().__init__(settings)
        self._example = example
        parts = {
            part.name: Service(part.module, port, part.environment)
            for part, port in zip(example.parts, settings.example_ports, strict=False)
        }
        self.services = {**self.services, **parts}
        self.ports |= {f"EXAMPLE_PORT (+{i})": part.port for i, part in enumerate(parts.values())}
        self.awaited += parts

    def start_dependencies(self, started: list[Process]) -> Environment:
        """Start those of the whole system, and create the queues of the example."""
        environment = super().start_dependencies(started)
        for queue in self._example.queues:
            create_resources({**environment, **queue.environment})
        return environment

    def welcome(self, environment: Environment) -> str:
        """Return the addresses of everything."""
        pages = "".join(
            f"  {part.title:<18} http://localhost:{self.services[part.name].port}\n"
            for part in self._example.parts
            if part.title
        )
        read = f"  Read about it      examples/{self._example.name}/README.md\n"
        return f"{super().welcome(environment)}\n  With the example {self._example.name}:\n\n{pages}{read}"


def load_example(name: str, folder: Path = EXAMPLES) -> Example:
    """Return the example of this name; exits with one line that lists them if there is none."""
    names = sorted(path.parent.name for path in folder.glob("*/example.py"))
    if name not in names:
        raise SystemExit(f"which example? make example NAME={'|'.join(names)}")
    example = importlib.import_module(f"examples.{name}.example").EXAMPLE
    assert isinstance(example, Example)
    assert len(example.parts) <= MAX_PARTS
    return example


def main() -> int:
    """Run until Ctrl-C or SIGTERM (returns 0), or until a process exits by itself (returns 1)."""
    example = load_example(sys.argv[1] if len(sys.argv) > 1 else "")
    return run_system(ExampleSystem(load_settings(ExampleSettings), example))


if __name__ == "__main__":
    sys.exit(main())

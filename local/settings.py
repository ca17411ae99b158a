"""Settings of `make run` and `make watch`, read from environment variables."""

import getpass
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.settings import Port, StandardName
from pipeline.watching import ALL, parse_patterns

MAX_PARTS = 10  # services of an example


class LocalSettings(BaseSettings):
    """Ports and folder. All other variables are passed through to the services."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    viewer_port: Port = Field(5000, description="port of the page")
    viewer_host: str = Field("127.0.0.1", description="address that the page listens on")
    consumer_port: Port = Field(5002, description="port of the consumer's /health")
    tls_certfile: Path | None = Field(None, description="with `TLS_KEYFILE`: serve the page over HTTPS")

    @property
    def page(self) -> str:
        """The URL of the page."""
        return f"{'https' if self.tls_certfile else 'http'}://localhost:{self.viewer_port}"

    @property
    def ports(self) -> dict[str, int]:
        """The ports, by the variable that sets each."""
        names = [name for name in type(self).model_fields if name.endswith("_port")]
        return {name.upper(): getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _distinct(self) -> "LocalSettings":
        seen: dict[int, str] = {}
        for variable, port in self.ports.items():
            if port in seen:
                raise ValueError(f"{variable}={port} is not allowed: {seen[port]} is the same")
            seen[port] = variable
        return self


class RunSettings(LocalSettings):
    """Those of `make run`."""

    producer_port: Port = Field(5001, description="port of the producer's /health")
    aws_port: Port = Field(4566, description="port of the AWS emulator")
    emulator: Literal["ministack", "localstack"] = Field(
        "ministack", description="AWS emulator: `ministack` or `localstack`"
    )
    run_folder: Path = Field(Path(".run"), description="folder for the database and the logs")


class ExampleSettings(RunSettings):
    """Those of `make example`."""

    example_port: Annotated[int, Field(ge=1, le=65535 - MAX_PARTS)] = Field(
        5010, description="first of the ports of an example's services, which take the next ones too"
    )

    @property
    def example_ports(self) -> range:
        """The ports of the services of an example, in order."""
        return range(self.example_port, self.example_port + MAX_PARTS)


def own_tap_name() -> str:
    """Return a name of a tap for this user on this machine: two people must not share one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = "user"
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"fanout-tap-{user}-{socket.gethostname()}")[:80].rstrip("-")


class WatchSettings(LocalSettings):
    """Those of `make watch`."""

    watch: str = Field(ALL, description="topics to watch, by patterns of their names")
    tap_name: StandardName = Field(
        default_factory=own_tap_name, description="SQS queue that is created; unset: `fanout-tap-USER-HOST`"
    )
    run_folder: Path = Field(Path(".run/watch"), description="folder for the database and the logs")

    @field_validator("watch")
    @classmethod
    def _check_watch(cls, value: str) -> str:
        parse_patterns(value)
        return value

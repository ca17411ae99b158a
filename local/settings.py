"""Settings of `make run`, read from environment variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.settings import Port


class RunSettings(BaseSettings):
    """Ports, emulator and folder. All other variables are passed through to the services."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    viewer_port: Port = Field(5000, description="port of the page")
    producer_port: Port = Field(5001, description="port of the producer's /health")
    consumer_port: Port = Field(5002, description="port of the consumer's /health")
    aws_port: Port = Field(4566, description="port of the AWS emulator")
    emulator: Literal["ministack", "localstack"] = Field(
        "ministack", description="AWS emulator: `ministack` or `localstack`"
    )
    tls_certfile: Path | None = Field(None, description="with `TLS_KEYFILE`: serve the page over HTTPS")
    run_folder: Path = Field(Path(".run"), description="folder for the database and the logs")

    @property
    def page(self) -> str:
        """The URL of the page."""
        return f"{'https' if self.tls_certfile else 'http'}://localhost:{self.viewer_port}"

    @property
    def ports(self) -> dict[str, int]:
        """The ports, by the variable that sets each."""
        names = ("viewer_port", "producer_port", "consumer_port", "aws_port")
        return {name.upper(): getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _distinct(self) -> "RunSettings":
        seen: dict[int, str] = {}
        for variable, port in self.ports.items():
            if port in seen:
                raise ValueError(f"{variable}={port} is not allowed: {seen[port]} is the same")
            seen[port] = variable
        return self

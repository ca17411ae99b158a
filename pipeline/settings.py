"""Settings, read from environment variables once at the start and checked before anything else happens."""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# SNS and SQS names: "Constraints" in the CreateTopic and CreateQueue references of AWS. A name that ends with
# .fifo is that of a FIFO topic or queue.
StandardName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
ResourceName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo)$")]
# "target_session_attrs", libpq. Without it the services use the first.
WRITABLE = ("read-write", "primary", "any")


class Settings(BaseSettings):
    """Settings of every service. boto3 reads the AWS_* variables of the SDK itself."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on; the images set 0.0.0.0")
    port: Port = Field(5000, description="port of /health and, on the viewer, of the page and the API")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="lowest level logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )
    log_format: Literal["json", "text"] = Field("json", description="`json` for machines, `text` for people")
    stall_seconds: Seconds = Field(
        60, description="seconds that a loop of the service may go without progress before liveness fails"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class TopicSettings(Settings):
    """Settings of the services that publish."""

    topic_name: ResourceName = Field(
        "broadcasts", description="SNS topic to publish to; a FIFO topic if it ends with `.fifo`"
    )


class DatabaseSettings(Settings):
    """Settings of the services that use the store."""

    database_url: SecretStr = Field(
        description="PostgreSQL database, as `postgresql://user:password@host/database`; several servers, of "
        "which the primary is used, as `postgresql://user:password@host1,host2/database`"
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("should begin with postgresql://")
        wanted = re.search(r"[?&]target_session_attrs=([^&]*)", value.get_secret_value())
        if wanted and wanted[1] not in WRITABLE:
            raise ValueError(
                f"target_session_attrs should be one of {', '.join(WRITABLE)}: the services write"
            )
        return value


class RedactionSettings(Settings):
    """Settings of the services that hold messages: of these fields they show, log and index nothing."""

    redact: Annotated[
        str, StringConstraints(pattern=r"^$|^(data|attr)(\.[^.,]+)+(,(data|attr)(\.[^.,]+)+)*$")
    ] = Field("", description="fields to mask, such as `data.card,attr.token`")

    @property
    def redacted_fields(self) -> list[str]:
        """The paths of REDACT."""
        return [field for field in self.redact.split(",") if field]


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load_settings(settings: type[AnySettings]) -> AnySettings:
    """Return the settings from the environment. Exits with one line for each variable that is wrong."""
    try:
        return settings()
    except ValidationError as error:
        raise SystemExit("\n".join(_explain(settings, detail) for detail in error.errors())) from None


def _explain(settings: type[BaseSettings], detail: object) -> str:
    assert isinstance(detail, dict)
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    field = str(detail["loc"][0])
    variable, what = field.upper(), settings.model_fields[field].description
    if detail["type"] == "missing":
        return f"{variable} is not set: {what}"
    is_secret = "SecretStr" in str(settings.model_fields[field].annotation)
    value = "" if is_secret else f"={detail['input']!r}"
    rule = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return f"{variable}{value} is not allowed: {rule} ({what})"

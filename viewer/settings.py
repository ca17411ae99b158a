"""What the viewer is told by its environment."""

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from pipeline.settings import DatabaseSettings, ResourceName, Seconds, TopicSettings


class ViewerSettings(DatabaseSettings, TopicSettings):
    """One database to show, one topic to publish to."""

    queue_name: ResourceName = Field("broadcasts-consumer", description="SQS queue to consume")
    peers: Annotated[
        str, StringConstraints(pattern=r"^$|^[a-z-]+=https?://[^,\s]+(,[a-z-]+=https?://[^,\s]+)*$")
    ] = Field(
        "", description="the other services, such as `producer=http://host:5000,consumer=http://host:5000`"
    )
    viewer_token: SecretStr | None = Field(
        None, description="who knows it may enter, by the login page or as a bearer token; unset: anybody"
    )
    read_only: bool = Field(False, description="`1` refuses publishing, deleting and redriving")
    export: bool = Field(True, description="`off` refuses the export of searches as ndjson and CSV")
    redact: Annotated[
        str, StringConstraints(pattern=r"^$|^(data|attr)(\.[^.,]+)+(,(data|attr)(\.[^.,]+)+)*$")
    ] = Field("", description="fields masked wherever they are shown, such as `data.card,attr.token`")
    path_prefix: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = Field(
        "", description="path below which everything is served, such as `/fanout`; /health stays at the root"
    )
    heartbeat_seconds: Seconds = Field(15, description="seconds until an idle stream shows that it lives")
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        10_000, description="browsers and API clients served at once; an open stream is one"
    )
    max_streams_per_client: Annotated[int, Field(ge=1)] = Field(
        1_000, description="open streams for one address; behind a proxy all share its address"
    )

    @property
    def redacted_fields(self) -> list[str]:
        """The paths of REDACT."""
        return [field for field in self.redact.split(",") if field]

    @property
    def peer_addresses(self) -> dict[str, str]:
        """The addresses of PEERS, by name."""
        pairs = (pair.split("=", 1) for pair in self.peers.split(",") if pair)
        return {name: address.rstrip("/") for name, address in pairs}

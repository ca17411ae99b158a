"""The viewer's settings, read from environment variables."""

import ipaddress
import ssl
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from pipeline.fifo import check_delivery
from pipeline.settings import DatabaseSettings, RedactionSettings, ResourceName, Seconds, TopicSettings

MIN_TOKEN_CHARACTERS = 16


class ViewerSettings(DatabaseSettings, TopicSettings, RedactionSettings):
    """The database to show, the topic to publish to, and who may access what."""

    queue_name: ResourceName = Field(
        "broadcasts-consumer",
        description="SQS queue of the consumer; a FIFO queue if it ends with `.fifo`",
    )
    peers: Annotated[
        str, StringConstraints(pattern=r"^$|^[a-z-]+=https?://[^,\s]+(,[a-z-]+=https?://[^,\s]+)*$")
    ] = Field(
        "",
        description="services whose health the page shows, such as `producer=http://host:5000,consumer=http://host:5000`",
    )
    viewer_token: SecretStr | None = Field(
        None,
        description=f"access token of at least {MIN_TOKEN_CHARACTERS} characters, required by the page and "
        "the API; unset: no access control",
    )
    read_only: bool | None = Field(
        None,
        description="`1` disables publishing, deleting and redriving, `off` allows them; unset: allowed with "
        "a token, or if `HOST` is loopback",
    )
    allowed_hosts: Annotated[
        str, StringConstraints(pattern=r"^$|^[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*$", to_lower=True)
    ] = Field(
        "",
        description="host names that the viewer answers to without a token, such as "
        "`fanout.example.com,viewer`; always allowed: localhost and IP addresses",
    )
    export: bool = Field(True, description="`off` disables the export of searches as ndjson and CSV")
    forwarded_allow_ips: str = Field(
        "",
        description="addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are "
        "trusted, such as `10.0.0.0/8,127.0.0.1`; `*`: whoever connects",
    )
    path_prefix: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = Field(
        "", description="path that everything is served under, such as `/fanout`; /health stays at the root"
    )
    heartbeat_seconds: Seconds = Field(15, description="seconds between heartbeats on an idle stream")
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        10_000,
        description="maximum number of concurrent requests, open streams included; /health is always "
        "answered",
    )
    max_streams_per_client: Annotated[int, Field(ge=1)] = Field(
        1_000,
        description="maximum number of open streams per client address; a proxy counts as one client, unless "
        "`FORWARDED_ALLOW_IPS` names it",
    )

    tls_certfile: Path | None = Field(None, description="PEM file of the certificate chain; enables HTTPS")
    tls_keyfile: Path | None = Field(None, description="PEM file of its private key, without a password")

    @field_validator("viewer_token")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        token = value.get_secret_value().strip()  # a file that it comes from often ends with a line break
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(f"should have at least {MIN_TOKEN_CHARACTERS} characters")
        return SecretStr(token)

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for network in value.split(","):
            if network.strip() not in ("", "*"):
                ipaddress.ip_network(network.strip())
        return value

    @model_validator(mode="after")
    def _the_topic_delivers_to_the_queue(self) -> "ViewerSettings":
        check_delivery(self.topic_name, self.queue_name)
        return self

    @model_validator(mode="after")
    def _certificate_and_key_are_usable(self) -> "ViewerSettings":
        if (self.tls_certfile is None) != (self.tls_keyfile is None):
            raise ValueError("TLS_CERTFILE and TLS_KEYFILE should be set both, or neither")
        if self.tls_certfile and self.tls_keyfile:
            _try_certificate(self.tls_certfile, self.tls_keyfile)
        return self

    @property
    def trusted_proxies(self) -> list[str]:
        """The networks of FORWARDED_ALLOW_IPS; `*` stands for every address."""
        return [network.strip() for network in self.forwarded_allow_ips.split(",") if network.strip()]

    @property
    def allowed_host_names(self) -> frozenset[str]:
        """The names of ALLOWED_HOSTS, in lower case."""
        return frozenset(name for name in self.allowed_hosts.split(",") if name)

    @property
    def why_read_only(self) -> str | None:
        """Why the viewer refuses writes and how to change it; None if it accepts them."""
        if self.read_only:
            return "READ_ONLY is set."
        if self.read_only is False or self.viewer_token or _is_loopback(self.host):
            return None
        return (
            "It has no access token, and other machines can reach it. To allow writing, set VIEWER_TOKEN (in "
            "Kubernetes: make secret VIEWER_TOKEN=…), or READ_ONLY=off to let anybody write."
        )

    @property
    def peer_addresses(self) -> dict[str, str]:
        """The addresses of PEERS, by name."""
        pairs = (pair.split("=", 1) for pair in self.peers.split(",") if pair)
        return {name: address.rstrip("/") for name, address in pairs}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _try_certificate(certfile: Path, keyfile: Path) -> None:
    """Raise ValueError saying what is wrong: gunicorn would fail at every connection instead."""
    given = f"TLS_CERTFILE={str(certfile)!r} with TLS_KEYFILE={str(keyfile)!r} is not allowed"
    for path in (certfile, keyfile):
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{given}: {path} cannot be read: {error.strerror}") from None
    try:
        # An empty password, where OpenSSL would ask at the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile, password="")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        wrong = "the key is of another certificate" if mismatch else "not PEM, or the key has a password"
        raise ValueError(f"{given}: {wrong}") from None

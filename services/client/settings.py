"""What a program that uses the client may leave to its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ClientGroup(BaseModel):
    """`token` is sent as a bearer's; `ca_file` holds the authorities (PEM) to trust."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = None
    ca_file: Path | None = None


class ClientSettings(BaseSettings):
    """From `SCREENALYTICS_CLIENT__TOKEN` and `SCREENALYTICS_CLIENT__CA_FILE`."""

    model_config = SettingsConfigDict(
        env_prefix="SCREENALYTICS_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    client: ClientGroup = ClientGroup()

"""Clients of a system at an address, with the token and the authorities of the environment."""

from __future__ import annotations

from typing import Any

from services.client import Client, ClientSettings
from services.kit.settings import read_settings


def remote_client(api_url: str, **options: Any) -> Client:
    """Raises `InvalidSettings`, `InvalidAddress`, `InvalidCredentials`."""
    known = read_settings(ClientSettings).client
    token = known.token.get_secret_value() if known.token else ""
    return Client(api_url, token=token, ca_file=known.ca_file, **options)

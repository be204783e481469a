"""API keys, for callers with the scope `admin`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic.dataclasses import dataclass

from services.client.parsing import parse, parse_each
from services.client.transport import Call, Transport


@dataclass(frozen=True)
class ApiKey:
    """`previous_secret_until`: how long the secret before the last rotation works on."""

    key_id: str
    name: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    rotated_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    previous_secret_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class IssuedApiKey(ApiKey):
    """`key` is shown this once and kept nowhere."""

    key: str


class ApiKeys:
    """A call whose answer was lost may have made a key, or a secret, that nobody knows: `list` shows it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, scopes: Sequence[str], *, expires_at: datetime | None = None) -> IssuedApiKey:
        """The one answer that holds the key itself."""
        body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
        if expires_at is not None:
            body["expires_at"] = expires_at.isoformat()
        return parse(IssuedApiKey, self._transport.call(Call("POST", "/v1/keys", json=body)).json())

    def list(self) -> list[ApiKey]:
        return parse_each(ApiKey, self._transport.call(Call("GET", "/v1/keys")).json(), "keys")

    def revoke(self, key_id: str) -> ApiKey:
        return parse(ApiKey, self._transport.call(Call("POST", f"{_key(key_id)}:revoke")).json())

    def rotate(self, key_id: str, *, overlap_s: float) -> IssuedApiKey:
        """A new secret; that of now works on for `overlap_s`."""
        call = Call("POST", f"{_key(key_id)}:rotate", json={"overlap_s": overlap_s})
        return parse(IssuedApiKey, self._transport.call(call).json())


def _key(key_id: str) -> str:
    return f"/v1/keys/{quote(key_id, safe='')}"

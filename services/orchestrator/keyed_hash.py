"""Hashes in place of names that must not be kept: whoever holds the key can check one, nobody can read it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from services.orchestrator.database import Database

_KEY_BYTES = 32


class KeyedHash:
    """HMAC-SHA256 (RFC 2104). Without a key by setting, one is made for each purpose and kept in Postgres."""

    def __init__(self, database: Database, purpose: str, key: str = "") -> None:
        self._database = database
        self._purpose = purpose
        self._key = key.encode()

    async def of(self, name: str) -> str:
        """`hmac-sha256:` and 64 hexadecimal digits. Raises `SystemUnavailable`."""
        while not self._key:
            fresh = secrets.token_bytes(_KEY_BYTES)
            rows = await self._database.read("installation_secret", purpose=self._purpose, fresh=fresh)
            self._key = bytes(rows[0]["secret"]) if rows else b""
        digest = hmac.new(self._key, name.encode(errors="replace"), hashlib.sha256).hexdigest()
        return f"hmac-sha256:{digest}"

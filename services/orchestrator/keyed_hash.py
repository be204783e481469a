"""Hashes in place of names that must not be kept: whoever holds the key can check one, nobody can read it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from services.orchestrator.database import Database

_KEY_BYTES = 32


class KeyedHash:
    """HMAC-SHA256 (RFC 2104). Without a key by setting, one is made once and kept in Postgres."""

    def __init__(self, database: Database, key: str = "") -> None:
        self._database = database
        self._key = key.encode()

    async def of(self, name: str) -> str:
        while not self._key:
            # Whoever loses a race for the first key sees the winner's at the second look.
            rows = await self._database.read("hash_key", fresh_key=secrets.token_bytes(_KEY_BYTES))
            self._key = bytes(rows[0]["key"]) if rows else b""
        return "hmac-sha256:" + hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()

"""The public keys of a token issuer (RFC 7517), from its address or a file, and asked for again sparingly."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from pathlib import Path
from time import monotonic
from typing import Protocol

import httpx
import jwt

from services.kit.errors import InvalidSettings, SystemUnavailable

log = logging.getLogger(__name__)

_LAST_PORT = 65_535
_MOST_BYTES = 1 << 20
_FETCH_WITHIN_S = 5.0
_REFRESH_AT_LEAST_EVERY_S = 3_600.0


class KeySource(Protocol):
    async def read(self) -> bytes:
        """A JSON Web Key Set. Raises `OSError`, `httpx.HTTPError`, `ValueError`."""


class FileSource:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._path.read_bytes)


class UrlSource:
    """No redirects: the address is the operator's, and what it answers decides who is let in."""

    def __init__(self, url: str, ca_file: Path | None) -> None:
        """Raises `InvalidSettings`: found at a call it would be the caller's trouble."""
        try:
            self._url = httpx.URL(url)
            self._verify = True if ca_file is None else ssl.create_default_context(cafile=ca_file)
        except httpx.InvalidURL as error:
            raise InvalidSettings(f"SCREENALYTICS_OIDC__JWKS_URL is no address: {error}") from error
        except OSError as error:  # ssl.SSLError is one
            raise InvalidSettings(f"SCREENALYTICS_OIDC__CA_FILE cannot be used: {error}") from error
        if not self._url.host or (self._url.port or 0) > _LAST_PORT:
            raise InvalidSettings("SCREENALYTICS_OIDC__JWKS_URL is no address: its host or port cannot be")

    async def read(self) -> bytes:
        async with (
            httpx.AsyncClient(timeout=_FETCH_WITHIN_S, verify=self._verify) as http,
            asyncio.timeout(_FETCH_WITHIN_S),
            http.stream("GET", self._url) as answer,
        ):
            answer.raise_for_status()
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise ValueError(f"the key set is larger than {_MOST_BYTES} bytes")
            return bytes(body)


class SigningKeys:
    """A key that is not known is looked for at most every `refresh_at_most_every_s`, whoever asks."""

    def __init__(self, source: KeySource, *, refresh_at_most_every_s: float) -> None:
        self._source = source
        self._refresh_at_most_every_s = refresh_at_most_every_s
        self._keys: dict[str, jwt.PyJWK] | None = None
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """Raises `SystemUnavailable` while no key set could be read at all."""
        if self._keys is None or kid not in self._keys or self._age_s() > _REFRESH_AT_LEAST_EVERY_S:
            await self._refresh(kid)
        if self._keys is None:
            raise SystemUnavailable(
                "the keys of the token issuer cannot be read", hint="try again, or use a key"
            )
        return self._keys.get(kid)

    def _age_s(self) -> float:
        return float("inf") if self._asked_at is None else monotonic() - self._asked_at

    async def _refresh(self, kid: str) -> None:
        async with self._lock:
            if self._age_s() < self._refresh_at_most_every_s:
                return  # by another call meanwhile, or too lately
            self._asked_at = monotonic()
            try:
                self._keys = _parsed(await self._source.read())
            except (OSError, httpx.HTTPError, ValueError, TimeoutError) as error:
                log.warning("the keys of the token issuer cannot be read: %s", error or type(error).__name__)


def _parsed(text: bytes) -> dict[str, jwt.PyJWK]:
    """Keys that cannot be used here are left out. Raises `ValueError`."""
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("the key set is nested too deeply") from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a key set")
    found: dict[str, jwt.PyJWK] = {}
    for entry in document["keys"]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            found[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
        except jwt.PyJWTError as error:
            log.debug("a key of the token issuer is left out: %s", error)
    return found

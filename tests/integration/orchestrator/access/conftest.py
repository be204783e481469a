"""An orchestrator that asks everybody who they are, and an issuer of tokens that it trusts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.orchestrator.access.exposure import AccessMode
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.operations import Scope
from services.orchestrator.settings import AccessSettings, OidcSettings
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import Parts

REQUIRED = AccessSettings(mode=AccessMode.REQUIRED, calls_per_second=0, key_cache_s=0)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@dataclass
class Keys:
    """Makes keys straight in the database."""

    keys: ApiKeys
    made: dict[Scope, str] = field(default_factory=dict)

    async def text(self, *scopes: Scope, **more: Any) -> str:
        return (await self.keys.create("a test", frozenset(scopes), created_by="a test", **more)).text

    async def headers(self, *scopes: Scope) -> dict[str, str]:
        return bearer(await self.text(*scopes))


@pytest.fixture
def keys(parts: Parts) -> Keys:
    return Keys(ApiKeys(parts.database, remember_s=0))


class Issuer:
    """An OpenID Connect issuer with one RSA and one elliptic key."""

    url = "https://issuer.test"
    audience = "screenalytics"

    def __init__(self, folder: Path) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.jwks_file = folder / "jwks.json"
        self.publish({"rsa": self.rsa.public_key(), "ec": self.ec.public_key()})

    def key_set(self, keys: dict[str, Any]) -> str:
        algorithms = {"rsa": jwt.algorithms.RSAAlgorithm, "ec": jwt.algorithms.ECAlgorithm}
        entries = []
        for kid, key in keys.items():
            kind = "rsa" if isinstance(key, rsa.RSAPublicKey) else "ec"
            entries.append({**algorithms[kind].to_jwk(key, as_dict=True), "kid": kid, "use": "sig"})
        return json.dumps({"keys": entries})

    def publish(self, keys: dict[str, Any]) -> None:
        self.jwks_file.write_text(self.key_set(keys))

    def settings(self, **more: Any) -> OidcSettings:
        given: dict[str, Any] = {"issuer": self.url, "audience": self.audience, "jwks_file": self.jwks_file}
        return OidcSettings(**(given | {"leeway_s": 0, "refresh_at_most_every_s": 0} | more))

    def token(
        self,
        *,
        key: Any = None,
        algorithm: str = "RS256",
        kid: str | None = "rsa",
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        now = datetime.now(UTC)
        plain = {
            "iss": self.url,
            "aud": self.audience,
            "sub": "somebody",
            "exp": now + timedelta(minutes=5),
            "iat": now,
            "scope": "read",
        }
        payload = {name: value for name, value in (plain | claims).items() if name not in without}
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(payload, self.rsa if key is None else key, algorithm, headers)

    @property
    def public_pem(self) -> bytes:
        return self.rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
async def secured(serve_api: Serve, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    async with serve_api(access=REQUIRED, oidc=issuer.settings()) as client:
        yield client

"""Bearer tokens of an OpenID Connect issuer (RFC 9068 where it follows it): whom one stands for.

Algorithms are pinned by setting and asymmetric, so neither `none` nor an HMAC with the public key is
ever tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from services.kit.errors import InvalidSettings, Unauthenticated
from services.orchestrator.access.principal import Principal
from services.orchestrator.access.signing_keys import FileSource, SigningKeys, UrlSource
from services.orchestrator.operations import Scope
from services.orchestrator.settings import OidcSettings

_MOST_CHARS = 16_384
_HINT = "get a new token from the issuer that this system trusts"


class TokenVerifier:
    def __init__(self, settings: OidcSettings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys

    @classmethod
    def of(cls, settings: OidcSettings) -> TokenVerifier | None:
        """None where no issuer is set. Raises `InvalidSettings` for one that could not be trusted."""
        if not settings.issuer:
            return None
        if not settings.audience:
            raise InvalidSettings(
                "SCREENALYTICS_OIDC__AUDIENCE is not set: tokens for other systems would be taken"
            )
        if bool(settings.jwks_url) is (settings.jwks_file is not None):
            raise InvalidSettings(
                "the issuer's keys are needed: set one of SCREENALYTICS_OIDC__JWKS_URL and "
                "SCREENALYTICS_OIDC__JWKS_FILE"
            )
        source = (
            FileSource(settings.jwks_file)
            if settings.jwks_file is not None
            else UrlSource(settings.jwks_url, settings.ca_file)
        )
        return cls(settings, SigningKeys(source, refresh_at_most_every_s=settings.refresh_at_most_every_s))

    async def principal(self, token: str) -> Principal:
        """Raises `Unauthenticated`, and `SystemUnavailable` while the issuer's keys cannot be had."""
        if len(token) > _MOST_CHARS:
            raise Unauthenticated("the token is too long", hint=_HINT)
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}", hint=_HINT) from error
        subject = str(claims["sub"])
        if not subject.isprintable() or not 1 <= len(subject) <= 200:
            raise Unauthenticated("the token's subject is not 1 to 200 printable characters", hint=_HINT)
        return Principal(f"sub:{subject}", self._scopes(claims))

    async def _key(self, token: str) -> jwt.PyJWK:
        """Raises `jwt.PyJWTError`."""
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError("its algorithm is not one that is trusted")
        key = await self._keys.key(str(header.get("kid", "")))
        if key is None:
            raise jwt.InvalidKeyError("it is signed by a key that the issuer does not publish")
        return key

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """Scopes of other systems in the claim are passed over. A text is separated by spaces (RFC 8693)."""
        given = claims.get(self._settings.scopes_claim, "")
        words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        prefix = self._settings.scopes_prefix
        ours = {str(word).removeprefix(prefix) for word in words if str(word).startswith(prefix)}
        return frozenset(scope for scope in Scope if scope in ours)

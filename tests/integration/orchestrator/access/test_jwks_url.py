"""The keys of a token issuer from its address: a server that this system asks seldom, and does not believe blindly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.kit.errors import InvalidSettings
from services.orchestrator.access.tokens import TokenVerifier
from services.orchestrator.operations import Scope
from services.orchestrator.settings import OidcSettings
from tests.integration.orchestrator.access.conftest import REQUIRED, Issuer, Keys, bearer
from tests.integration.orchestrator.conftest import Serve, ServeBoth
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of
from tests.integration.remote import Authority, Remote, Request, answer, serving


class JwksServer:
    """Serves what `reply` is at the time; the issuer's key set to begin with."""

    def __init__(self, issuer: Issuer, authority: Authority) -> None:
        self.issuer = issuer
        self.authority = authority
        self.reply = self.key_set()
        self.remote = Remote(self.handle)

    def key_set(self, **more: Any) -> bytes:
        return answer(
            body=self.issuer.key_set({"rsa": self.issuer.rsa.public_key(), **more}).encode(),
            Content_Type="application/json",
        )

    def handle(self, _: Request) -> bytes:
        return self.reply

    def settings(self, **more: Any) -> OidcSettings:
        url = f"https://127.0.0.1:{self.remote.port}/jwks"
        given = {"jwks_file": None, "jwks_url": url, "ca_file": self.authority.file}
        return self.issuer.settings(**(given | more))


@pytest.fixture
async def jwks(issuer: Issuer, tmp_path: Path) -> AsyncIterator[JwksServer]:
    server = JwksServer(issuer, Authority(tmp_path))
    async with serving(server.handle, server.authority.server("127.0.0.1")) as server.remote:
        yield server


@pytest.fixture
def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def status(api: httpx.AsyncClient, token: str) -> int:
    return (await api.get("/v1/jobs", headers=bearer(token))).status_code


async def test_keys_are_fetched_once_and_a_new_one_is_found(
    serve_api: Serve, issuer: Issuer, jwks: JwksServer, new_key: rsa.RSAPrivateKey
) -> None:
    async with serve_api(access=REQUIRED, oidc=jwks.settings()) as api:
        assert jwks.remote.requests == []
        assert [await status(api, issuer.token()) for _ in range(3)] == [200] * 3
        assert len(jwks.remote.requests) == 1
        jwks.reply = jwks.key_set(new=new_key.public_key())
        assert await status(api, issuer.token(key=new_key, kid="new")) == 200
        assert await status(api, issuer.token()) == 200
        assert len(jwks.remote.requests) == 2


async def test_callers_with_unknown_keys_do_not_make_it_ask_more_than_once_an_interval(
    serve_api: Serve, issuer: Issuer, jwks: JwksServer, new_key: rsa.RSAPrivateKey
) -> None:
    async with serve_api(access=REQUIRED, oidc=jwks.settings(refresh_at_most_every_s=3_600)) as api:
        asked = [status(api, issuer.token(key=new_key, kid=f"unknown-{n}")) for n in range(20)]
        assert set(await asyncio.gather(*asked)) == {401}
        assert await status(api, issuer.token()) == 200
        assert len(jwks.remote.requests) == 1


@asynccontextmanager
async def refusing(serve_api: Serve, oidc: OidcSettings, issuer: Issuer, keys: Keys) -> AsyncIterator[None]:
    """An orchestrator that says of every token that it cannot judge it, and takes keys."""
    async with serve_api(access=REQUIRED, oidc=oidc) as api:
        for token in (issuer.token(), issuer.token(scope="admin"), issuer.token(kid="elsewhere")):
            told = await api.get("/v1/jobs", headers=bearer(token))
            assert (told.status_code, told.json()["code"]) == (503, "system-unavailable")
            assert told.headers["content-type"] == "application/problem+json"
            assert "issuer" in told.json()["detail"]
        assert (await api.get("/v1/jobs")).status_code == 401
        assert (await api.get("/v1/jobs", headers=await keys.headers(Scope.READ))).status_code == 200
        yield


BAD_REPLIES: dict[str, bytes] = {
    "an error": answer(500),
    "an error with keys": answer(404, body=b'{"keys": []}'),
    "a redirect": answer(302, Location="https://127.0.0.1/"),
    "no JSON": answer(body=b"<html>"),
    "no key set": answer(body=b'{"keys": {}}'),
    "a deep nest": answer(body=b"[" * 100_000),
    "too much": answer(body=b'{"keys": [' + b" " * (1 << 20) + b"]}"),
    "no HTTP": b"hello\r\n\r\n",
    "less than it promised": answer(body=b'{"keys": []}', Content_Length="100"),
}


async def test_while_what_it_answers_is_no_key_set_every_token_is_a_503(
    serve_api: Serve, issuer: Issuer, keys: Keys, jwks: JwksServer
) -> None:
    async with serve_api(access=REQUIRED, oidc=jwks.settings()) as api:
        for what, reply in BAD_REPLIES.items():
            jwks.reply = reply
            told = await api.get("/v1/jobs", headers=bearer(issuer.token()))
            assert (told.status_code, told.json()["code"]) == (503, "system-unavailable"), what
        assert len(jwks.remote.requests) == len(BAD_REPLIES), "nothing was followed, and nothing tried twice"
        jwks.reply = jwks.key_set()
        assert await status(api, issuer.token()) == 200


async def test_a_key_set_that_is_broken_later_does_not_take_the_known_keys_away(
    serve_api: Serve, issuer: Issuer, jwks: JwksServer
) -> None:
    async with serve_api(access=REQUIRED, oidc=jwks.settings()) as api:
        assert await status(api, issuer.token()) == 200
        for jwks.reply in BAD_REPLIES.values():
            assert await status(api, issuer.token(kid="elsewhere")) == 401
            assert await status(api, issuer.token()) == 200


async def test_one_odd_key_does_not_hide_the_others(serve_api: Serve, issuer: Issuer, jwks: JwksServer) -> None:
    known = issuer.key_set({"rsa": issuer.rsa.public_key()})
    odd = '{"kty": "RSA", "n": 5}, {"kty": [1]}, 7, null, {"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}, '
    jwks.reply = answer(body=known.replace('"keys": [', f'"keys": [{odd}').encode())
    async with serve_api(access=REQUIRED, oidc=jwks.settings()) as api:
        assert await status(api, issuer.token()) == 200


async def test_an_issuer_that_another_authority_vouches_for_is_not_believed(
    serve_api: Serve, issuer: Issuer, keys: Keys, jwks: JwksServer, tmp_path: Path
) -> None:
    (tmp_path / "strange").mkdir()
    for ca_file in (Authority(tmp_path / "strange").file, None):
        async with refusing(serve_api, jwks.settings(ca_file=ca_file), issuer, keys):
            assert jwks.remote.requests == []


async def test_an_issuer_that_is_away_lets_nobody_in_and_grpc_says_the_same(
    serve_both: ServeBoth, serve_api: Serve, issuer: Issuer, keys: Keys, jwks: JwksServer
) -> None:
    away = jwks.settings(jwks_url="https://127.0.0.1:1/jwks")
    async with refusing(serve_api, away, issuer, keys):
        pass
    async with serve_both(groups={"access": REQUIRED, "oidc": away}) as both:
        rpcs = Rpcs(both.grpc, metadata=(("authorization", f"Bearer {issuer.token()}"),))
        code, reason, _ = await fault_of(rpcs("ListJobs"))
        assert (code, reason) == ("UNAVAILABLE", "system-unavailable")


def test_an_address_or_an_authority_that_cannot_be_is_refused_at_the_start(
    issuer: Issuer, tmp_path: Path
) -> None:
    (tmp_path / "garbage.pem").write_text("no certificate")
    for url in ("https://127.0.0.1:x/", "https://127.0.0.1:99999/", "https://é..x/", "https:///jwks"):
        with pytest.raises(InvalidSettings, match="OIDC__JWKS_URL"):
            TokenVerifier.of(issuer.settings(jwks_file=None, jwks_url=url))
    for name in ("garbage.pem", "absent.pem"):
        with pytest.raises(InvalidSettings, match="OIDC__CA_FILE"):
            TokenVerifier.of(
                issuer.settings(jwks_file=None, jwks_url="https://issuer.test/", ca_file=tmp_path / name)
            )

"""The issuer's keys by https from its address: asked for sparingly, and nobody is let in while they cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.kit.errors import SystemUnavailable
from services.orchestrator.access import signing_keys
from services.orchestrator.access.signing_keys import SigningKeys, UrlSource
from services.orchestrator.settings import OidcSettings
from tests.integration.orchestrator.access.conftest import REQUIRED, Issuer, bearer
from tests.integration.orchestrator.conftest import Serve, ServeBoth
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of
from tests.integration.remote import Answer, Authority, Remote, answer, serving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def site(issuer: Issuer, authority: Authority) -> AsyncIterator[Remote]:
    """Where the issuer publishes its keys."""
    async with serving(lambda _: published(issuer), authority.server("127.0.0.1")) as remote:
        yield remote


def published(issuer: Issuer) -> bytes:
    return answer(200, issuer.jwks_file.read_bytes())


def settings(issuer: Issuer, site: Remote, authority: Authority, **more: Any) -> OidcSettings:
    url = f"https://127.0.0.1:{site.port}/keys"
    return issuer.settings(**({"jwks_file": None, "jwks_url": url, "ca_file": authority.file} | more))


async def code(api: httpx.AsyncClient, token: str) -> tuple[int, str]:
    reply = await api.get("/v1/jobs", headers=bearer(token))
    return reply.status_code, "" if reply.is_success else str(reply.json()["code"])


async def test_keys_come_from_the_address_once_for_all_callers(
    serve_api: Serve, issuer: Issuer, site: Remote, authority: Authority
) -> None:
    oidc = settings(issuer, site, authority, refresh_at_most_every_s=3600)
    async with serve_api(access=REQUIRED, oidc=oidc) as api:
        answers = await asyncio.gather(*(code(api, issuer.token()) for _ in range(20)))
        assert set(answers) == {(200, "")}
        strange = await asyncio.gather(*(code(api, issuer.token(kid=f"no {n}")) for n in range(20)))
        assert set(strange) == {(401, "unauthenticated")}
        assert [request.path for request in site.requests] == ["/keys"]


async def test_an_unknown_key_is_looked_for_once_in_each_interval(
    issuer: Issuer, site: Remote, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(signing_keys, "monotonic", lambda: now)
    source = UrlSource(f"https://127.0.0.1:{site.port}/keys", authority.file)
    keys = SigningKeys(source, refresh_at_most_every_s=30)
    assert await keys.key("rsa") is not None
    now += 31
    assert await asyncio.gather(*(keys.key(f"no {n}") for n in range(20))) == [None] * 20
    assert len(site.requests) == 2
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer.publish({"new": new.public_key()})
    assert await keys.key("new") is None, "within the interval"
    now += 31
    assert await keys.key("new") is not None
    assert await keys.key("rsa") is None, "it was withdrawn"
    assert len(site.requests) == 3


async def break_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()


async def say_nothing(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


NO_KEYS: dict[str, Callable[[Issuer], Answer]] = {
    "an error": lambda _: answer(500, b"{}"),
    "not there": lambda _: answer(404),
    "a redirect": lambda i: answer(302, published(i), location="/elsewhere"),
    "no JSON": lambda _: answer(200, b"<html>"),
    "not text": lambda _: answer(200, b"\xff\xfe\x00"),
    "another document": lambda _: answer(200, b'{"issuer": "https://issuer.test"}'),
    "a list": lambda _: answer(200, b"[]"),
    "nested without end": lambda _: answer(200, b"[" * 100_000),
    "too much": lambda _: answer(200, b" " * (1 << 21)),
    "too little": lambda _: break_off,
    "silence": lambda _: say_nothing,
}


async def test_while_no_keys_can_be_had_every_token_is_a_503_and_nobody_gets_in(
    serve_both: ServeBoth,
    issuer: Issuer,
    site: Remote,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing_keys, "_FETCH_WITHIN_S", 0.3)
    oidc = settings(issuer, site, authority)
    async with serve_both(groups={"access": REQUIRED, "oidc": oidc}) as both:
        for what, reply in NO_KEYS.items():
            site.handle = lambda _, reply=reply: reply(issuer)
            assert await code(both.http, issuer.token()) == (503, "system-unavailable"), what
            assert (await both.http.get("/v1/jobs")).status_code == 401
        metadata = [("authorization", f"Bearer {issuer.token()}")]
        status, reason, _ = await fault_of(Rpcs(both.grpc, metadata=metadata)("ListJobs"))
        assert (status, reason) == ("UNAVAILABLE", "system-unavailable")
        site.handle = lambda _: published(issuer)
        assert await code(both.http, issuer.token()) == (200, "")
        site.handle = lambda _: answer(500)
        assert await code(both.http, issuer.token()) == (200, ""), "keys that were read are kept"
        assert await code(both.http, issuer.token(kid="new")) == (401, "unauthenticated")


async def test_keys_of_a_site_with_a_strange_certificate_are_not_taken(site: Remote, tmp_path: Path) -> None:
    (tmp_path / "strange").mkdir()
    for ca_file in (Authority(tmp_path / "strange").file, None, tmp_path / "absent.pem"):
        source = UrlSource(f"https://127.0.0.1:{site.port}/keys", ca_file)
        with pytest.raises(SystemUnavailable, match="token issuer"):
            await SigningKeys(source, refresh_at_most_every_s=30).key("rsa")
    assert site.requests == []


async def test_a_key_that_cannot_be_used_does_not_take_the_others_along(
    serve_api: Serve, issuer: Issuer, site: Remote, authority: Authority
) -> None:
    whole = issuer.key_set({"rsa": issuer.rsa.public_key()}).removesuffix("]}")
    odd = (
        '5, {}, {"kid": []}, {"kid": "a", "kty": "RSA", "n": 5, "e": "AQAB"}, {"kid": "b", "kty": []}, '
        '{"kid": "c", "kty": "EC", "crv": [], "x": "A", "y": "A"}, {"kid": "d", "kty": "oct", "k": "QQ"}'
    )
    site.handle = lambda _: answer(200, f"{whole}, {odd}]}}".encode())
    async with serve_api(access=REQUIRED, oidc=settings(issuer, site, authority)) as api:
        assert await code(api, issuer.token()) == (200, "")
        for kid in "abcd":
            assert await code(api, issuer.token(kid=kid)) == (401, "unauthenticated"), kid


@pytest.mark.parametrize("url", ["http://issuer.test/keys", "http://127.0.0.1.evil.test/", "ftp://x/", "keys"])
def test_an_address_without_tls_is_no_place_for_keys(issuer: Issuer, url: str) -> None:
    with pytest.raises(ValueError, match="jwks_url"):
        issuer.settings(jwks_url=url)

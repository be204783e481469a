"""Credentials that are no good, each for another reason, and those that are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.orchestrator.access.api_key import key_text, new_key_id, new_secret
from services.orchestrator.operations import Scope
from tests.integration.orchestrator.access.conftest import REQUIRED, Issuer, Keys, bearer
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import Parts

NOW = datetime.now(UTC)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(issuer: Issuer) -> str:
    _, payload, _ = issuer.token().split(".")
    return f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{payload}."


def signed_with_the_public_key(issuer: Issuer) -> str:
    """An HMAC whose secret is the published key: the classic confusion of algorithms."""
    _, payload, _ = issuer.token().split(".")
    signing = f"{encoded({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'})}.{payload}"
    mac = hmac.digest(issuer.public_pem, signing.encode(), hashlib.sha256)
    return f"{signing}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def signed_by_a_stranger(issuer: Issuer) -> str:
    return issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))


def changed(issuer: Issuer) -> str:
    head, payload, signature = issuer.token().split(".")
    claims = jwt.decode(f"{head}.{payload}.{signature}", options={"verify_signature": False})
    return f"{head}.{encoded({**claims, 'scope': 'admin'})}.{signature}"


def with_a_key_of_its_own(issuer: Issuer) -> str:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    return jwt.encode(claims, stranger, "RS256", {"kid": "rsa", "jwk": own, "jku": "http://127.0.0.1:1/"})


BAD_TOKENS: dict[str, Callable[[Issuer], str]] = {
    "not signed": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "signed by a stranger": signed_by_a_stranger,
    "changed after it was signed": changed,
    "that brings its own key": with_a_key_of_its_own,
    "of a trusted key by an algorithm that is not trusted": lambda i: i.token(algorithm="PS256"),
    "of a key of another kind": lambda i: i.token(kid="ec"),
    "of an unknown key": lambda i: i.token(kid="elsewhere"),
    "that names no key": lambda i: i.token(kid=None),
    "for another system": lambda i: i.token(aud="another"),
    "for no system": lambda i: i.token(without=("aud",)),
    "of another issuer": lambda i: i.token(iss="https://another.test"),
    "of no issuer": lambda i: i.token(without=("iss",)),
    "that is over": lambda i: i.token(exp=NOW - timedelta(seconds=5)),
    "that never ends": lambda i: i.token(without=("exp",)),
    "that has not begun": lambda i: i.token(nbf=NOW + timedelta(days=1)),
    "from the future": lambda i: i.token(iat=NOW + timedelta(days=1)),
    "about nobody": lambda i: i.token(without=("sub",)),
    "with a subject that would break a line": lambda i: i.token(sub="a\nb"),
    "of great length": lambda i: i.token(sub="x" * 20_000),
    "that is no token": lambda _: "a.b.c",
    "of one letter": lambda _: "x",
}


async def refusal(api: httpx.AsyncClient, headers: dict[str, str]) -> str:
    answer = await api.get("/v1/jobs", headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


async def test_no_bad_token_is_taken(secured: httpx.AsyncClient, issuer: Issuer) -> None:
    for what, made in BAD_TOKENS.items():
        assert await refusal(secured, bearer(made(issuer))) == "unauthenticated", what


async def test_good_tokens_are_taken_within_the_leeway_and_bring_their_scopes(
    serve_api: Serve, issuer: Issuer
) -> None:
    oidc = issuer.settings(leeway_s=30, scopes_claim="roles", scopes_prefix="screenalytics:")
    async with serve_api(access=REQUIRED, oidc=oidc) as api:
        late = datetime.now(UTC) - timedelta(seconds=5)
        for token in (
            issuer.token(roles=["screenalytics:read", "other:admin"], exp=late),
            issuer.token(roles="screenalytics:read email", key=issuer.ec, algorithm="ES256", kid="ec"),
            issuer.token(roles=["screenalytics:read"], aud=["another", issuer.audience]),
        ):
            assert (await api.get("/v1/jobs", headers=bearer(token))).status_code == 200
            assert (await api.get("/v1/keys", headers=bearer(token))).status_code == 403
        for roles in (
            ["read"],
            ["screenalytics:everything"],
            {"screenalytics:read": 1},
            5,
            None,
            "screenalytics:",
        ):
            token = issuer.token(roles=roles)
            assert (await api.get("/v1/jobs", headers=bearer(token))).status_code == 403, roles


async def test_a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_is_not_taken(
    serve_api: Serve, issuer: Issuer
) -> None:
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    async with serve_api(access=REQUIRED, oidc=issuer.settings()) as api:
        assert (await api.get("/v1/jobs", headers=bearer(issuer.token()))).status_code == 200
        issuer.publish({"new": new.public_key()})
        token = issuer.token(key=new, kid="new")
        assert (await api.get("/v1/jobs", headers=bearer(token))).status_code == 200
        assert await refusal(api, bearer(issuer.token())) == "unauthenticated"


async def test_while_the_issuers_keys_cannot_be_had_tokens_are_a_503_and_keys_still_work(
    serve_api: Serve, issuer: Issuer, keys: Keys
) -> None:
    issuer.jwks_file.unlink()
    async with serve_api(access=REQUIRED, oidc=issuer.settings()) as api:
        answer = await api.get("/v1/jobs", headers=bearer(issuer.token()))
        assert (answer.status_code, answer.json()["code"]) == (503, "system-unavailable")
        assert (await api.get("/v1/jobs", headers=await keys.headers(Scope.READ))).status_code == 200


async def test_without_an_issuer_no_token_is_taken(serve_api: Serve, issuer: Issuer) -> None:
    async with serve_api(access=REQUIRED) as api:
        assert await refusal(api, bearer(issuer.token())) == "unauthenticated"


async def test_no_key_is_taken_that_is_unknown_changed_revoked_or_expired(
    secured: httpx.AsyncClient, keys: Keys, parts: Parts
) -> None:
    good = await keys.text(Scope.READ)
    assert (await secured.get("/v1/jobs", headers=bearer(good))).status_code == 200
    revoked = await keys.text(Scope.READ)
    await keys.keys.revoke(revoked.split("_")[1])
    expired = await keys.text(Scope.READ, expires_at=datetime.now(UTC) + timedelta(hours=1))
    await parts.rows("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
    last = "A" if good[-2] != "A" else "B"
    for text in (
        revoked,
        expired,
        key_text(new_key_id(), new_secret()),  # of another system
        key_text(good.split("_")[1], new_secret()),
        key_text(new_key_id(), good.split("_", 2)[2]),
        good[:-2] + last + good[-1],
        good[:-1],
        good + "A",
        good.upper(),
        "sk_",
        "sk__",
    ):
        assert await refusal(secured, bearer(text)) == "unauthenticated", text
    for headers in (
        {"Authorization": good},
        {"Authorization": f"Basic {good}"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"X-Api-Key": good},
        {"Cookie": f"key={good}"},
    ):
        assert await refusal(secured, headers) == "unauthenticated", headers
    assert (await secured.get("/v1/jobs", params={"key": good})).status_code == 401


async def test_what_is_wrong_with_a_key_is_not_told(secured: httpx.AsyncClient, keys: Keys) -> None:
    revoked = await keys.text(Scope.READ)
    await keys.keys.revoke(revoked.split("_")[1])
    told = {
        (await secured.get("/v1/jobs", headers=bearer(text))).json()["detail"]
        for text in (
            revoked,
            key_text(new_key_id(), new_secret()),
            key_text(revoked.split("_")[1], new_secret()),
        )
    }
    assert len(told) == 1


async def test_no_secret_is_kept(secured: httpx.AsyncClient, keys: Keys, parts: Parts) -> None:
    text = await keys.text(Scope.READ)
    assert (await secured.get("/v1/jobs", headers=bearer(text))).status_code == 200
    rows = await parts.rows("SELECT * FROM api_keys")
    assert text.split("_", 2)[2] not in str(rows)
    assert bytes(rows[0]["secret_sha256"]) == hashlib.sha256(text.split("_", 2)[2].encode()).digest()


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_as_http_says(secured: httpx.AsyncClient, keys: Keys, scheme: str) -> None:
    text = await keys.text(Scope.READ)
    answer = await secured.get("/v1/jobs", headers={"Authorization": f"{scheme} {text}"})
    assert answer.status_code == 200

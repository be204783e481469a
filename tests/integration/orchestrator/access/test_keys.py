"""The life of an API key over REST, from the first one on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.kit.errors import Unauthenticated
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.database import Row
from services.orchestrator.operations import Scope
from tests.integration.orchestrator.access.conftest import Keys, bearer
from tests.integration.parts import VIDEO, Parts


async def made(api: httpx.AsyncClient, admin: dict[str, str], **body: object) -> httpx.Response:
    return await api.post("/v1/keys", json={"name": "made", "scopes": ["read"], **body}, headers=admin)


async def status(api: httpx.AsyncClient, text: str) -> int:
    return (await api.get("/v1/jobs", headers=bearer(text))).status_code


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(
    secured: httpx.AsyncClient, keys: Keys
) -> None:
    admin = await keys.headers(Scope.ADMIN)
    answer = await made(secured, admin)
    assert answer.status_code == 201
    key = answer.json()
    assert answer.headers["location"] == f"/v1/keys/{key['key_id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert await status(secured, key["key"]) == 200
    listed = await secured.get("/v1/keys", headers=admin)
    assert key["key"].split("_", 2)[2] not in listed.text
    assert {k["key_id"]: k["scopes"] for k in listed.json()["keys"]}[key["key_id"]] == ["read"]
    assert all(k["last_used_at"] for k in listed.json()["keys"])
    for _ in range(2):
        revoked = await secured.post(f"/v1/keys/{key['key_id']}:revoke", headers=admin)
        assert revoked.json()["revoked_at"]
    assert await status(secured, key["key"]) == 401
    again = await secured.post(f"/v1/keys/{key['key_id']}:rotate", headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_a_rotated_key_works_with_both_secrets_until_the_overlap_is_over(
    secured: httpx.AsyncClient, keys: Keys, parts: Parts
) -> None:
    admin = await keys.headers(Scope.ADMIN)
    old = (await made(secured, admin)).json()
    path = f"/v1/keys/{old['key_id']}:rotate"
    new = (await secured.post(path, json={"overlap_s": 3600}, headers=admin)).json()
    assert new["key_id"] == old["key_id"]
    assert new["key"] != old["key"]
    assert [await status(secured, key["key"]) for key in (old, new)] == [200, 200]
    await parts.rows(
        "UPDATE api_keys SET previous_until = now() - interval '1 s' WHERE previous_until IS NOT NULL"
    )
    assert [await status(secured, key["key"]) for key in (old, new)] == [401, 200]
    newest = (await secured.post(path, json={"overlap_s": 0}, headers=admin)).json()
    assert [await status(secured, key["key"]) for key in (new, newest)] == [401, 200]


async def test_a_key_that_cannot_be_is_refused(secured: httpx.AsyncClient, keys: Keys) -> None:
    admin = await keys.headers(Scope.ADMIN)
    over = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for body in (
        {"scopes": []},
        {"scopes": ["root"]},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\u0000b"},
        {"name": "a\nb"},
        {"expires_at": over},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "soon"},
        {"key_id": "aaaaaaaa"},
    ):
        answer = await made(secured, admin, **body)
        assert answer.status_code == 400, body
        assert answer.headers["content-type"] == "application/problem+json"
    for path in ("/v1/keys/aaaaaaaa:revoke", "/v1/keys/%00:revoke", "/v1/keys/aaaaaaaa:rotate"):
        assert (await secured.post(path, headers=admin)).status_code in (400, 404), path
    for overlap_s in (-1, 1e9, "x"):
        answer = await secured.post("/v1/keys/aaaaaaaa:rotate", json={"overlap_s": overlap_s}, headers=admin)
        assert answer.status_code == 400, overlap_s


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ApiKeys(parts.database, remember_s=60)
    issued = await keys.create("made", frozenset({Scope.READ}), created_by="test")
    read = parts.database.read

    async def read_and_revoked_meanwhile(name: str, **parameters: Any) -> list[Row]:
        rows = await read(name, **parameters)
        monkeypatch.setattr(parts.database, "read", read)
        await keys.revoke(issued.row["key_id"])
        return rows

    monkeypatch.setattr(parts.database, "read", read_and_revoked_meanwhile)
    await keys.principal(issued.text)  # as it was when it was read
    with pytest.raises(Unauthenticated):
        await keys.principal(issued.text)


async def test_use_is_written_once_a_minute_and_not_with_each_call(
    secured: httpx.AsyncClient, keys: Keys, parts: Parts
) -> None:
    text = await keys.text(Scope.READ)
    assert await status(secured, text) == 200
    (first,) = await parts.rows("SELECT last_used_at, xmin::text FROM api_keys")
    assert first["last_used_at"] is not None
    for _ in range(5):
        assert await status(secured, text) == 200
    assert await parts.rows("SELECT last_used_at, xmin::text FROM api_keys") == [first]


async def test_a_job_knows_whose_key_has_asked_for_it(secured: httpx.AsyncClient, keys: Keys) -> None:
    text = await keys.text(Scope.READ, Scope.SUBMIT)
    headers = bearer(text)
    uploaded = await secured.post("/v1/episodes", params={"ep_id": "show"}, content=VIDEO, headers=headers)
    assert uploaded.status_code == 201
    job = await secured.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"}, headers=headers)
    assert job.json()["submitted_by"] == f"key:{text.split('_')[1]}"


def bootstrap(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.orchestrator.bootstrap_key", *arguments],
        env={**os.environ, "SCREENALYTICS_POSTGRES__DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_first_key_is_made_from_the_database_alone_and_only_once(
    secured: httpx.AsyncClient, parts: Parts
) -> None:
    first = await asyncio.to_thread(bootstrap, parts.database.dsn)
    assert first.returncode == 0, first.stderr
    text = first.stdout.strip()
    assert (await secured.get("/v1/keys", headers=bearer(text))).status_code == 200
    assert await status(secured, text) == 200
    second = await asyncio.to_thread(bootstrap, parts.database.dsn)
    assert (second.returncode, second.stdout) == (2, "")
    assert '"code": "conflict"' in second.stderr
    another = await asyncio.to_thread(bootstrap, parts.database.dsn, "--another", "--name", "two")
    assert another.returncode == 0, another.stderr


def command(api: httpx.AsyncClient, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"SCREENALYTICS_API__URL": str(api.base_url), "SCREENALYTICS_CLIENT__TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "keys", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_command_makes_lists_rotates_and_revokes_keys(secured: httpx.AsyncClient, keys: Keys) -> None:
    admin = await keys.text(Scope.ADMIN)

    async def told(*arguments: str) -> dict[str, object]:
        done = await asyncio.to_thread(command, secured, admin, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    key = await told("create", "--name", "ci", "--scope", "read", "--expires-in-days", "1")
    assert await status(secured, str(key["key"])) == 200
    new = await told("rotate", str(key["key_id"]), "--overlap-hours", "0")
    assert [await status(secured, str(k["key"])) for k in (key, new)] == [401, 200]
    assert (await told("revoke", str(key["key_id"])))["revoked_at"]
    assert await status(secured, str(new["key"])) == 401
    listed = await told("list")
    assert str(key["key_id"]) in str(listed)
    assert str(new["key"]) not in str(listed)
    for days in ("nan", "1e12"):
        never = ("create", "--name", "ci", "--scope", "read", "--expires-in-days", days)
        done = await asyncio.to_thread(command, secured, admin, *never)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    refused = await asyncio.to_thread(command, secured, str(new["key"]), "list")
    assert refused.returncode == 2
    assert "not valid" in refused.stderr

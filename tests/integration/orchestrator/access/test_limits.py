"""What a caller may use up: calls of a replica, and bytes of a day over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from services.kit.errors import RateLimited
from services.orchestrator.access.exposure import AccessMode
from services.orchestrator.access.uploads import UploadAllowance
from services.orchestrator.operations import Scope
from services.orchestrator.settings import AccessSettings
from tests.integration.orchestrator.access.conftest import Keys, bearer
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import VIDEO, Parts


async def test_too_many_calls_are_refused_for_a_while_and_for_one_caller_alone(
    serve_api: Serve, keys: Keys
) -> None:
    access = AccessSettings(mode=AccessMode.REQUIRED, calls_per_second=0.001, call_burst=3)
    one, other = bearer(await keys.text(Scope.READ)), bearer(await keys.text(Scope.READ))
    async with serve_api(access=access) as api:
        answers = [await api.get("/v1/jobs", headers=one) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert answers[-1].json()["code"] == "rate-limited"
        assert 0 < int(answers[-1].headers["retry-after"]) <= 1000
        assert (await api.get("/v1/jobs", headers=other)).status_code == 200
        assert (await api.get("/livez")).status_code == 200


async def chunked(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


async def test_a_caller_may_not_send_more_than_the_days_bytes_however_they_are_sent(
    serve_api: Serve, keys: Keys, parts: Parts
) -> None:
    access = AccessSettings(mode=AccessMode.REQUIRED, upload_bytes_per_day=len(VIDEO) + 100)
    one, other = await keys.headers(Scope.SUBMIT), await keys.headers(Scope.SUBMIT)
    async with serve_api(access=access) as api:

        async def upload(ep_id: str, content: object, headers: dict[str, str]) -> httpx.Response:
            return await api.post("/v1/episodes", params={"ep_id": ep_id}, content=content, headers=headers)

        assert (await upload("a", VIDEO, one)).status_code == 201
        for content in (VIDEO, chunked(VIDEO)):
            refused = await upload("b", content, one)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
            assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert (await upload("c", chunked(VIDEO), other)).status_code == 201
    assert [row["ep_id"] for row in await parts.rows("SELECT ep_id FROM episodes ORDER BY ep_id")] == ["a", "c"]


async def test_replicas_share_the_days_bytes(parts: Parts) -> None:
    replicas = [UploadAllowance(parts.database, 1000) for _ in range(5)]
    taken = await asyncio.gather(
        *(replica.take("key:a", 100) for replica in replicas for _ in range(4)), return_exceptions=True
    )
    assert all(isinstance(one, RateLimited | None) for one in taken)
    assert 1 <= taken.count(None) <= 10
    (row,) = await parts.rows("SELECT bytes FROM upload_days")
    assert row["bytes"] <= 1000


async def test_what_was_announced_and_not_sent_is_given_back(parts: Parts) -> None:
    allowance = UploadAllowance(parts.database, 1000)
    for _ in range(5):
        await allowance.take("key:a", 500)
        allowance.give_back("key:a", 400)
    assert await allowance_left(allowance) == 500


async def allowance_left(allowance: UploadAllowance) -> int:
    left = 0
    while True:
        try:
            await allowance.take("key:a", 100)
        except RateLimited:
            return left
        left += 100

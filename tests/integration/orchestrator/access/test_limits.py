"""What a caller may use up: calls of a replica, and bytes of a day over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.kit.errors import RateLimited
from services.orchestrator.access.exposure import AccessMode
from services.orchestrator.access.uploads import UploadAllowance
from services.orchestrator.operations import Scope
from services.orchestrator.settings import AccessSettings, SourcesSettings
from tests.integration.orchestrator.access.conftest import Keys, bearer
from tests.integration.orchestrator.conftest import Serve, ServeBoth
from tests.integration.orchestrator.grpc_client import Rpcs, fault_of
from tests.integration.parts import VIDEO, Parts
from tests.integration.remote import Authority, Request, answer, serving


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


@pytest.mark.parametrize("tells_its_size", [True, False])
async def test_what_the_system_fetches_for_a_caller_counts_as_if_they_had_sent_it(
    serve_both: ServeBoth, keys: Keys, parts: Parts, tmp_path: Path, tells_its_size: bool
) -> None:
    authority = Authority(tmp_path)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "show.mp4").write_bytes(VIDEO)

    def video(_: Request) -> bytes:
        if tells_its_size:
            return answer(body=VIDEO)
        return b"HTTP/1.1 200 x\r\nConnection: close\r\n\r\n" + VIDEO

    async with serving(video, authority.server("127.0.0.1")) as site:
        groups = {
            "access": AccessSettings(mode=AccessMode.REQUIRED, upload_bytes_per_day=len(VIDEO) + 1000),
            "outbound": authority.settings(site.port, allow_networks=("127.0.0.1/32",)),
            "sources": SourcesSettings(prefixes={shelf.as_uri(): {}}),
        }
        of_web, of_store = f"https://127.0.0.1:{site.port}/show.mp4", f"{shelf.as_uri()}/show.mp4"
        async with serve_both(groups=groups) as both:
            for uri, other in ((of_web, of_store), (of_store, of_web)):
                token = await keys.text(Scope.SUBMIT)
                rpc = Rpcs(both.grpc, metadata=[("authorization", f"Bearer {token}")])
                first = {"source_uri": uri, "ep_id": "first", "replace": True}
                made = await both.http.post("/v1/episodes", json=first, headers=bearer(token))
                assert made.is_success, made.text
                for place in (uri, other):
                    second = {"source_uri": place, "ep_id": "second"}
                    refused = await both.http.post("/v1/episodes", json=second, headers=bearer(token))
                    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
                    status, reason, _ = await fault_of(rpc("RegisterEpisode", **second))
                    assert (status, reason) == ("RESOURCE_EXHAUSTED", "rate-limited")
            rpc = Rpcs(both.grpc, metadata=[("authorization", f"Bearer {await keys.text(Scope.SUBMIT)}")])
            await rpc("RegisterEpisode", source_uri=of_store, ep_id="third")
            status, reason, _ = await fault_of(rpc("RegisterEpisode", source_uri=of_store, ep_id="fourth"))
            assert (status, reason) == ("RESOURCE_EXHAUSTED", "rate-limited")
    rows = await parts.rows("SELECT ep_id FROM episodes ORDER BY ep_id")
    assert [row["ep_id"] for row in rows] == ["first", "third"]

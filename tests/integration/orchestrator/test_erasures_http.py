"""Erasure and the trash over HTTP, with the orchestrator's agents at work."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.orchestrator.settings import ErasureSettings
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import VIDEO, Parts, until


async def register(api: httpx.AsyncClient, ep_id: str = "show") -> dict[str, Any]:
    answer = await api.post("/v1/episodes", params={"ep_id": ep_id, "filename": "a.mp4"}, content=VIDEO)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def submit(api: httpx.AsyncClient, ep_id: str = "show") -> str:
    answer = await api.post("/v1/jobs", json={"ep_id": ep_id, "device": "cpu"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


@pytest.fixture
def parts(parts: Parts) -> Parts:
    return parts.limited(erasure=ErasureSettings(settle_s=0))


async def test_an_erasure_is_accepted_and_its_receipt_is_done_in_the_end(
    serve_api: Serve, parts: Parts
) -> None:
    async with serve_api() as api, serve_api():  # two replicas
        await register(api)
        job_id = await submit(api)
        answer = await api.delete("/v1/episodes/show")
        assert answer.status_code == 202
        receipt = answer.json()
        assert answer.headers["Location"] == f"/v1/erasures/{receipt['erasure_id']}"
        assert receipt["ep_id_hash"].startswith("hmac-sha256:")
        for path in ("/v1/episodes/show", "/v1/episodes/show/artifacts", f"/v1/jobs/{job_id}"):
            assert (await api.get(path)).status_code == 404

        async def is_done() -> bool:
            return bool((await api.get(answer.headers["Location"])).json()["state"] == "done")

        await until(is_done)
        again = await api.delete("/v1/episodes/show")
        assert (again.status_code, again.json()["code"]) == (404, "not-found")
        assert list(parts.store.keys("")) == []


async def test_who_watches_a_job_hears_of_its_erasure(serve_api: Serve) -> None:
    async with serve_api() as api:
        await register(api)
        job_id = await submit(api)
        async with api.stream("GET", f"/v1/jobs/{job_id}/events") as watched:
            lines = watched.aiter_lines()
            await anext(lines)
            await api.delete("/v1/episodes/show")
            rest = [line async for line in lines]
        assert "event: end" in rest
        assert 'data: {"state": "gone"}' in rest


async def test_the_trash_hides_an_episode_until_it_is_restored(api: httpx.AsyncClient) -> None:
    await register(api)
    await register(api, "other")
    job_id = await submit(api)
    trashed = (await api.post("/v1/episodes/show:trash")).json()
    assert trashed["purge_at"] > trashed["trashed_at"]
    assert (await api.post("/v1/episodes/show:trash")).json() == trashed
    for path in ("/v1/episodes/show", "/v1/episodes/show/status", f"/v1/jobs/{job_id}"):
        assert (await api.get(path)).status_code == 404, path
    assert (await api.get("/v1/jobs")).json()["jobs"] == []
    assert [e["ep_id"] for e in (await api.get("/v1/episodes")).json()["episodes"]] == ["other"]
    shown = {"show_deleted": True}
    assert (await api.get("/v1/episodes/show", params=shown)).json()["purge_at"]
    assert len((await api.get("/v1/episodes", params=shown)).json()["episodes"]) == 2
    assert (await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"})).status_code == 404
    restored = await api.post("/v1/episodes/show:restore")
    assert (restored.status_code, restored.json()["purge_at"]) == (200, None)
    assert (await api.get("/v1/episodes/show")).status_code == 200
    assert (await api.get(f"/v1/jobs/{job_id}")).json()["state"] == "cancelled"


async def test_a_name_in_the_trash_takes_no_upload_and_no_import(api: httpx.AsyncClient) -> None:
    await register(api)
    await api.post("/v1/episodes/show:trash")
    asked = {"ep_id": "show", "filename": "a.mp4", "replace": True}
    upload = await api.post("/v1/episodes", params=asked, content=VIDEO)
    imported = await api.put(
        "/v1/episodes/show/imports/identities.json",
        params={"modified_at": "2026-01-01T00:00:00Z"},
        content=b'{"ep_id": "show", "identities": [], "stats": {}}',
    )
    for answer in (upload, imported):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text
        assert "trash" in answer.json()["detail"]


async def test_what_is_in_the_trash_can_be_erased_at_once(api: httpx.AsyncClient) -> None:
    await register(api)
    await api.post("/v1/episodes/show:trash")
    assert (await api.delete("/v1/episodes/show")).status_code == 202
    gone = await api.post("/v1/episodes/show:restore")
    assert (gone.status_code, gone.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/episodes/none"),
        ("DELETE", "/v1/episodes/%00"),
        ("GET", "/v1/erasures/none"),
        ("POST", "/v1/episodes/none:trash"),
        ("POST", "/v1/episodes/none:restore"),
    ],
)
async def test_what_is_not_there_is_said_in_words(api: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await api.request(method, path)
    assert answer.status_code in (400, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_episode_that_is_not_in_the_trash_cannot_be_restored(api: httpx.AsyncClient) -> None:
    await register(api)
    assert (await api.post("/v1/episodes/show:restore")).status_code == 409

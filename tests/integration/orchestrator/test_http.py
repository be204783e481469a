"""The REST API over real HTTP: what each verb answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from services.kit import bus
from services.kit.codec import encode
from services.kit.errors import NotFound, SystemUnavailable
from services.kit.messages import Heartbeat, WorkerState, now_at
from services.kit.stages import STAGE_ORDER
from services.orchestrator.http_api.problems import problem
from tests.integration.parts import VIDEO, Parts, until


async def upload(api: httpx.AsyncClient, content: bytes = VIDEO, **query: Any) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 3000):
            yield content[start : start + 3000]

    return await api.post(
        "/v1/episodes", params={"filename": "show.mp4", "ep_id": "show"} | query, content=body()
    )


async def submit(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"} | fields)


async def started(api: httpx.AsyncClient) -> str:
    await upload(api)
    return str((await submit(api)).json()["job_id"])


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", body
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["type"] == f"urn:screenalytics:problem:{body['code']}"
    return (answer.status_code, body["status"], body["code"]) == (status, status, code)


def test_a_system_that_is_away_says_when_to_come_again() -> None:
    answer = problem(SystemUnavailable("Postgres does not answer"))
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert "Retry-After" not in problem(NotFound("no job")).headers


async def test_an_upload_is_created_once_and_found_from_then_on(api: httpx.AsyncClient) -> None:
    first, second = await upload(api), await upload(api)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert (await api.get("/v1/episodes/show")).json() == first.json()
    assert (first.json()["size_bytes"], first.json()["container"]) == (len(VIDEO), "mov")


async def test_other_content_conflicts_unless_it_replaces(api: httpx.AsyncClient) -> None:
    uid = (await upload(api)).json()["episode_uid"]
    assert is_problem(await upload(api, VIDEO + b"x"), 409, "conflict")
    replaced = await upload(api, VIDEO + b"x", replace=True)
    assert replaced.status_code == 201
    assert replaced.json()["episode_uid"] != uid


async def test_an_upload_that_is_cut_off_leaves_nothing(api: httpx.AsyncClient, parts: Parts) -> None:
    assert api.base_url.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
    head = "POST /v1/episodes?ep_id=cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
    writer.write(head.encode() + VIDEO + bytes(12 << 20))
    await writer.drain()
    folder = parts.store.local_path("")
    assert folder is not None

    async def holds_something() -> bool:
        return any(path.is_file() for path in folder.rglob("*"))

    async def holds_nothing() -> bool:
        return not await holds_something()

    await until(holds_something)
    writer.close()
    await until(holds_nothing)
    assert reader is not None
    assert (await api.get("/v1/episodes/cut")).status_code == 404


async def test_a_caller_who_goes_away_is_no_failure_of_the_system(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def answered(status: str) -> float:
        labels = {"method": "PUT", "status": status}
        return REGISTRY.get_sample_value("screenalytics_http_requests_total", labels) or 0.0

    async def is_counted() -> bool:
        return answered("4xx") + answered("5xx") > sum(before)

    before = (answered("4xx"), answered("5xx"))
    assert api.base_url.port is not None
    _, writer = await asyncio.open_connection("127.0.0.1", api.base_url.port)
    path = "/v1/episodes/cut/imports/faces.jsonl?modified_at=2026-01-01T00:00:00Z"
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await until(is_counted)
    assert (answered("4xx"), answered("5xx")) == (before[0] + 1, before[1])
    assert "unforeseen" not in caplog.text


async def test_episodes_are_listed_page_by_page(api: httpx.AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await upload(api, ep_id=name)
    first = (await api.get("/v1/episodes", params={"page_size": 2})).json()
    rest = await api.get("/v1/episodes", params={"page_size": 2, "page_token": first["next_page_token"]})
    assert [e["ep_id"] for e in first["episodes"] + rest.json()["episodes"]] == ["a", "b", "c"]
    assert rest.json()["next_page_token"] == ""


async def test_a_submit_is_accepted_with_its_place(api: httpx.AsyncClient) -> None:
    await upload(api)
    answer = await submit(api)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['job_id']}"
    assert (await api.get(answer.headers["location"])).json()["job_id"] == job["job_id"]
    assert [run["stage"] for run in job["stages"]] == list(STAGE_ORDER)


async def test_a_second_submit_conflicts_with_the_id_of_the_first(api: httpx.AsyncClient) -> None:
    job_id = await started(api)
    second = await submit(api)
    assert is_problem(second, 409, "conflict")
    assert second.json()["job_id"] == job_id


async def test_a_gpu_that_is_not_there_is_refused_with_a_way_out(api: httpx.AsyncClient) -> None:
    await upload(api)
    answer = await submit(api, device="cuda")
    assert is_problem(answer, 409, "accelerator-unavailable")
    assert "--allow-cpu-fallback" in answer.json()["hint"]


async def test_a_running_job_is_found_again_by_its_episode_and_stage(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    job_id = await started(api)
    found = await api.get("/v1/jobs", params={"ep_id": "show", "stage": "detect_track", "active": True})
    assert [job["job_id"] for job in found.json()["jobs"]] == [job_id]
    await parts.jobs.cancel(job_id)
    found = await api.get("/v1/jobs", params={"ep_id": "show", "stage": "detect_track", "active": True})
    assert found.json() == {"jobs": [], "next_page_token": ""}


async def test_who_started_a_job_is_kept(api: httpx.AsyncClient) -> None:
    await upload(api)
    job = (
        await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"}, headers={"User-Agent": "me"})
    ).json()
    assert job["submitted_by"] == "me"


async def test_a_job_is_cancelled_by_its_verb(api: httpx.AsyncClient) -> None:
    job_id = await started(api)
    answer = await api.post(f"/v1/jobs/{job_id}:cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert is_problem(await api.post("/v1/jobs/nobody:cancel"), 404, "not-found")


async def test_a_pipeline_over_the_broker_ends_with_its_exports_listed(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    job_id = await started(api)
    await parts.finish(job_id)
    status = (await api.get("/v1/episodes/show/status")).json()
    assert {p["status"] for p in status["phases"].values()} == {"success"}
    files = (await api.get("/v1/episodes/show/exports")).json()["files"]
    assert {"detections.jsonl", "tracks.jsonl", "faces.jsonl", "identities.json", "runs/cluster.json"} <= set(
        files
    )

    async def marker() -> httpx.Response | None:
        answer = await api.get("/v1/episodes/show/exports/runs/cluster.json")
        return answer if answer.status_code == 200 else None

    assert (await until(marker)).json()["phase"] == "cluster"


async def test_results_are_read_through_the_api(api: httpx.AsyncClient, parts: Parts) -> None:
    for path in ("identities", "artifacts/tracks", "exports/tracks.jsonl", "exports/runs/cluster.json"):
        await upload(api)
        assert is_problem(await api.get(f"/v1/episodes/show/{path}"), 404, "not-found"), path
    await parts.finish(await parts.submit())
    content = b'{"identities": [{"identity_id": "i1"}], "stats": {"clusters": 1}}'
    (row,) = await parts.rows("SELECT uri FROM artifacts WHERE kind = 'identities'")
    parts.store.put_bytes(row["uri"], content)
    shown = (await api.get("/v1/episodes/show/identities")).json()
    assert shown == {"ep_id": "show", "identities": [{"identity_id": "i1"}], "stats": {"clusters": 1}}


async def test_an_artifact_comes_with_its_digest(api: httpx.AsyncClient, parts: Parts) -> None:
    await upload(api)
    await parts.finish(await parts.submit())
    (row,) = await parts.rows("SELECT uri, sha256 FROM artifacts WHERE kind = 'identities'")
    parts.store.put_bytes(row["uri"], b'{"a": "bc"')
    answer = await api.get("/v1/episodes/show/artifacts/identities")
    assert answer.headers["etag"] == f'"{row["sha256"]}"'
    assert answer.content == b'{"a": "bc"'


async def test_an_artifact_whose_file_is_gone_is_a_problem(api: httpx.AsyncClient, parts: Parts) -> None:
    await upload(api)
    await parts.finish(await parts.submit())
    assert is_problem(await api.get("/v1/episodes/show/artifacts/tracks"), 404, "not-found")
    assert is_problem(await api.get("/v1/episodes/show/exports/tracks.csv"), 404, "not-found")


async def test_a_heartbeat_over_the_broker_is_a_worker_in_the_list(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    beat = Heartbeat("w 1", "cluster", WorkerState.READY, "cpu", "cpu", now_at(), thread_cap=2)
    await parts.nc.publish(bus.worker_subject(beat.worker_id), encode(beat))

    async def workers() -> list[dict[str, Any]]:
        return list((await api.get("/v1/workers")).json()["workers"])

    (worker,) = await until(workers)
    assert (worker["worker_id"], worker["state"], worker["thread_cap"]) == ("w 1", "ready", 2)


async def test_a_refusal_is_counted_for_prometheus(api: httpx.AsyncClient, parts: Parts) -> None:
    beat = Heartbeat(
        "w2", "cluster", WorkerState.REFUSED, "cuda", "", now_at(), reason_code="accelerator-unavailable"
    )
    await parts.nc.publish(bus.worker_subject(beat.worker_id), encode(beat))
    wanted = (
        'screenalytics_worker_refusals_total{reason="accelerator-unavailable",requested="cuda",stage="cluster"}'
    )

    async def is_counted() -> bool:
        return wanted in (await api.get("/metrics")).text

    await until(is_counted)


async def test_health_and_profiles_are_served(api: httpx.AsyncClient) -> None:
    assert (await api.get("/livez")).text == "ok"
    shown = (await api.get("/v1/profiles")).json()
    assert shown["default"] == "balanced"
    assert shown["profiles"]["low_power"]["detect_track"]["stride"] == 8


@pytest.mark.parametrize("body", [{"ep_id": "nobody", "device": "cpu"}])
async def test_a_job_for_nobody_is_not_found(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert is_problem(await api.post("/v1/jobs", json=body), 404, "not-found")

"""The gRPC API beside the REST API, served by one orchestrator: both say the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.kit.messages import Heartbeat, LogLine, ModelPlacement, TaskOutcome, WorkerState, now_at
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.settings import JobsSettings
from services.pb.screenalytics.v1 import api_pb2
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import METHODS, Rpcs, fault_of, filled, shown
from tests.integration.orchestrator.test_imports import put_all
from tests.integration.parts import VIDEO, Parts

IDENTITIES = (
    b'{"identities": [{"identity_id": "i1", "track_ids": [1, "t2"], "size": 3}], "stats": {"faces": 3}}'
)
# What each call is asked of each transport; FILM and JOB stand for what is there.
READS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "ListEpisodes": [({}, "/v1/episodes"), ({"page_size": 1}, "/v1/episodes?page_size=1")],
    "GetEpisode": [({"ep_id": name}, f"/v1/episodes/{name}") for name in ("film", "show")],
    "GetEpisodeStatus": [({"ep_id": name}, f"/v1/episodes/{name}/status") for name in ("film", "show")],
    "GetIdentities": [({"ep_id": name}, f"/v1/episodes/{name}/identities") for name in ("film", "show")],
    "ListArtifacts": [({"ep_id": name}, f"/v1/episodes/{name}/artifacts") for name in ("film", "show")],
    "ListExports": [
        ({"ep_id": "film"}, "/v1/episodes/film/exports"),
        ({"ep_id": "show", "format": "EXPORT_FORMAT_CSV"}, "/v1/episodes/show/exports?format=csv"),
    ],
    "ListImports": [({"ep_id": "show"}, "/v1/episodes/show/imports")],
    "ListJobs": [
        ({}, "/v1/jobs"),
        (
            {"ep_id": "film", "stage": "STAGE_CLUSTER", "page_size": 1},
            "/v1/jobs?ep_id=film&stage=cluster&page_size=1",
        ),
        ({"active": True}, "/v1/jobs?active=true"),
    ],
    "GetJob": [({"job_id": job}, f"/v1/jobs/{job}") for job in ("DONE", "DEAD", "LIVE")],
    "ListDeadLetters": [({"job_id": "DEAD"}, "/v1/jobs/DEAD/dead-letters")],
    "ExplainJob": [({"job_id": job}, f"/v1/jobs/{job}/why") for job in ("DONE", "DEAD", "LIVE")],
    "ListLogs": [
        ({"job_id": "LIVE"}, "/v1/jobs/LIVE/logs"),
        (
            {"job_id": "LIVE", "quiet": False, "after": 1, "limit": 2},
            "/v1/jobs/LIVE/logs?quiet=false&after=1&limit=2",
        ),
    ],
    "ListWorkers": [({}, "/v1/workers")],
    "ListProfiles": [({}, "/v1/profiles")],
}
FILES: dict[str, list[tuple[dict[str, Any], str]]] = {
    "GetArtifact": [
        ({"ep_id": "film", "kind": "ARTIFACT_KIND_IDENTITIES"}, "/v1/episodes/film/artifacts/identities"),
        ({"ep_id": "show", "kind": "ARTIFACT_KIND_FACES"}, "/v1/episodes/show/artifacts/faces"),
    ],
    "GetMarker": [
        ({"ep_id": "film", "stage": "STAGE_CLUSTER"}, "/v1/episodes/film/exports/runs/cluster.json"),
        ({"ep_id": "show", "stage": "STAGE_FACES_EMBED"}, "/v1/episodes/show/exports/runs/faces_embed.json"),
    ],
    "GetExport": [
        ({"ep_id": "show", "name": name}, f"/v1/episodes/show/exports/{name}")
        for name in ("tracks.jsonl", "faces.csv", "identities.json")
    ],
}
ACTS = {
    "RegisterEpisode",
    "UpdateEpisode",
    "WaitJob",
    "SubmitJob",
    "CancelJob",
    "RetryJob",
    "ResumeJob",
    "WatchJob",
    "EraseEpisode",
    "GetErasure",
    "TrashEpisode",
    "RestoreEpisode",
}  # each has tests of its own


@pytest.fixture
async def rpcs(both: Served) -> Rpcs:
    return Rpcs(both.grpc)


async def _put_identities(parts: Parts, content: bytes) -> None:
    (row,) = await parts.rows(
        "UPDATE artifacts SET size_bytes = %s WHERE kind = 'identities' RETURNING uri", len(content)
    )
    parts.store.put_bytes(row["uri"], content)


async def _logged(parts: Parts, job_id: str) -> None:
    task = await parts.task(job_id)
    for number, text in enumerate(("found a face", "", "lost it")):
        line = LogLine(
            job_id, task.run_id, task.task_id, "a1", task.stage, "info", text, False, now_at(), number
        )
        await parts.logbook.record(line, source_key=text)


@pytest.fixture
async def jobs(both: Served, parts: Parts) -> dict[str, str]:
    """Ids of a job that is done, one that has died, and one that runs; an imported episode, and a worker."""
    await put_all(both.http)
    await parts.upload("film")
    done = await parts.finished(ep_id="film")
    await _put_identities(parts, IDENTITIES)
    await parts.upload("dying")
    dead = await parts.limited(jobs=JobsSettings(max_attempts=1)).submit(JobKind.DETECT_TRACK, "dying")
    task = await parts.task(dead)
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.RETRY, error_code="stage-failed", error_message="no luck")
    await parts.upload("running", VIDEO + b"more")
    live = await parts.submit(JobKind.DETECT_TRACK, "running")
    await _logged(parts, live)
    model = ModelPlacement("yunet-n", "abc", "cpu", "cpu", "ort", "cpu", {"CPUExecutionProvider": 7})
    beat = Heartbeat("w1", "cluster", WorkerState.READY, "cpu", "cpu", now_at(), models=(model,), thread_cap=2)
    await WorkerRegistry(parts.nc, parts.database).record(beat)
    await parts.markers.write_missing()
    return {"DONE": done, "DEAD": dead, "LIVE": live}


def _named(fields: dict[str, Any], path: str, jobs: dict[str, str]) -> tuple[dict[str, Any], str]:
    for word, job_id in jobs.items():
        path = path.replace(word, job_id)
    return {name: jobs.get(str(value), value) for name, value in fields.items()}, path


async def test_every_rpc_says_what_its_rest_call_says(both: Served, rpcs: Rpcs, jobs: dict[str, str]) -> None:
    assert set(READS) | set(FILES) | ACTS == set(METHODS)
    for name, cases in READS.items():
        for case in cases:
            fields, path = _named(*case, jobs)
            answer = await both.http.get(path)
            assert answer.status_code == 200, (path, answer.text)
            said = filled(shown(await rpcs(name, **fields)))
            assert said, (name, fields)
            assert said == filled(answer.json()), (name, fields)


async def test_files_come_in_chunks_with_the_bytes_of_rest(
    both: Served, rpcs: Rpcs, jobs: dict[str, str]
) -> None:
    assert jobs
    for name, cases in FILES.items():
        for fields, path in cases:
            answer = await both.http.get(path)
            assert answer.status_code == 200, (path, answer.text)
            head, content = await rpcs.file(name, **fields)
            assert content == answer.content, path
            assert answer.headers["content-type"].startswith(head.media_type), path


async def test_a_large_file_comes_in_messages_that_every_client_takes(
    both: Served, rpcs: Rpcs, parts: Parts, jobs: dict[str, str]
) -> None:
    assert jobs
    assert both
    content = bytes(range(256)) * 40_000
    await _put_identities(parts, content)
    request = {"ep_id": "film", "kind": "ARTIFACT_KIND_IDENTITIES"}
    sizes = [len(chunk.data) async for chunk in rpcs("GetArtifact", **request)]
    assert sum(sizes) == len(content)
    assert max(sizes) < 1 << 20


async def test_an_empty_file_is_one_chunk(both: Served, rpcs: Rpcs, parts: Parts, jobs: dict[str, str]) -> None:
    assert jobs
    assert both
    await _put_identities(parts, b"")
    head, content = await rpcs.file("GetArtifact", ep_id="film", kind="ARTIFACT_KIND_IDENTITIES")
    assert (content, head.media_type) == (b"", "application/octet-stream")


async def test_a_job_is_submitted_cancelled_and_asked_for_again(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    await parts.upload()
    overrides = {"stride": 4, "track_threshold": 0.5, "save_frames": True}
    first = await rpcs("SubmitJob", ep_id="show", device="DEVICE_CPU", overrides=overrides)
    assert (first.state, first.kind) == (api_pb2.STATE_QUEUED, api_pb2.JOB_KIND_PIPELINE)
    assert first.submitted_by.startswith("grpc-python")
    assert (await rpcs("CancelJob", job_id=first.job_id)).state == api_pb2.STATE_CANCELLED
    retried = await rpcs("RetryJob", job_id=first.job_id)
    assert (retried.retry_of, retried.HasField("resume_of")) == (first.job_id, False)
    await rpcs("CancelJob", job_id=retried.job_id)
    resumed = await rpcs("ResumeJob", job_id=retried.job_id)
    assert resumed.resume_of == retried.job_id
    body = {"ep_id": "show", "device": "cpu", "overrides": overrides}
    await rpcs("CancelJob", job_id=resumed.job_id)
    over_rest = (await both.http.post("/v1/jobs", json=body)).json()["job_id"]
    made = await parts.rows("SELECT request FROM jobs WHERE job_id = ANY(%s)", [first.job_id, over_rest])
    assert made[0] == made[1]


async def test_one_request_id_is_one_job_over_both_transports(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    await parts.upload()
    request = {"ep_id": "show", "device": "DEVICE_CPU", "overrides": {"stride": 4}, "request_id": "k1"}
    at_once = await asyncio.gather(*(rpcs("SubmitJob", **request) for _ in range(50)))
    body = {"ep_id": "show", "device": "cpu", "overrides": {"stride": 4}}
    over_rest = await both.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k1"})
    assert {job.job_id for job in at_once} == {over_rest.json()["job_id"]}
    job_id = at_once[0].job_id
    fault = await fault_of(rpcs("SubmitJob", **request | {"profile": "PROFILE_LOW_POWER"}))
    assert fault[:2] == ("INVALID_ARGUMENT", "idempotency-key-reused")
    assert fault[2]["job_id"] == job_id
    await rpcs("CancelJob", job_id=job_id)
    again = [(await rpcs("RetryJob", job_id=job_id, request_id="k2")).job_id for _ in range(2)]
    assert again[0] == again[1] != job_id


async def test_pages_hold_every_episode_and_every_job_once(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    assert both
    made = []
    for number in range(5):
        await parts.upload(f"show-{number}", VIDEO + bytes([number]))
        made.append(await parts.submit(ep_id=f"show-{number}"))
    episodes = [e.ep_id for page in await _pages(rpcs, "ListEpisodes") for e in page.episodes]
    assert episodes == [f"show-{number}" for number in range(5)]
    jobs = [job.job_id for page in await _pages(rpcs, "ListJobs") for job in page.jobs]
    assert jobs == made[::-1]
    (page, *_) = await _pages(rpcs, "ListJobs")
    other = rpcs("ListJobs", page_token=page.next_page_token, active=True)
    assert (await fault_of(other))[:2] == ("INVALID_ARGUMENT", "invalid-page-token")


async def _pages(rpcs: Rpcs, name: str) -> list[Any]:
    pages = [await rpcs(name, page_size=2)]
    while token := pages[-1].next_page_token:
        pages.append(await rpcs(name, page_size=2, page_token=token))
    return pages


async def test_an_episode_is_edited_as_over_rest(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    await parts.upload()
    first = await rpcs("UpdateEpisode", ep_id="show", title="A film", labels={"year": "1999"})
    assert shown(first) == filled((await both.http.get("/v1/episodes/show")).json())
    cleared = await rpcs("UpdateEpisode", ep_id="show", update_mask={"paths": ["labels"]}, etag=first.etag)
    assert (cleared.title, dict(cleared.labels)) == ("A film", {})
    late = await fault_of(rpcs("UpdateEpisode", ep_id="show", title="Mine", etag=first.etag))
    assert late[:2] == ("ABORTED", "precondition-failed")
    unknown = await fault_of(rpcs("UpdateEpisode", ep_id="show", update_mask={"paths": ["sha256"]}))
    assert unknown[:2] == ("INVALID_ARGUMENT", "invalid-request")


async def test_a_job_is_waited_for_until_its_end_or_for_a_while(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    assert both
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    as_it_is = await rpcs("WaitJob", job_id=job_id, timeout_s=0)
    assert as_it_is.state == api_pb2.STATE_QUEUED
    waiting = asyncio.ensure_future(rpcs("WaitJob", job_id=job_id))
    await parts.finish(job_id)
    assert (await waiting).state == api_pb2.STATE_SUCCEEDED
    late = await fault_of(rpcs("CancelJob", job_id=job_id, etag=as_it_is.etag))
    assert late[:2] == ("ABORTED", "precondition-failed")


async def test_a_job_belongs_to_the_trace_of_the_call_that_made_it(both: Served, parts: Parts) -> None:
    await parts.upload()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    job = await Rpcs(both.grpc, metadata=(("traceparent", parent),))(
        "SubmitJob", ep_id="show", device="DEVICE_CPU"
    )
    task = await parts.task(job.job_id)
    assert task.traceparent.split("-")[1] == parent.split("-")[1]

"""A result that an equal run has left is used again at once, and says so."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.kit.messages import Execution
from services.kit.stages import STAGE_ORDER
from services.orchestrator.job_request import JobKind
from tests.integration.parts import Parts, success_of


async def shown(parts: Parts, job_id: str) -> tuple[str, list[tuple[str, bool]]]:
    job = await parts.records.job(job_id)
    return job["state"], [(run["state"], run["reused"]) for run in job["stages"]]


async def files_of(parts: Parts) -> dict[str, str]:
    episode = await parts.episodes.get("show")
    return {row["kind"]: row["sha256"] for row in await parts.records.artifacts(episode)}


REUSED = ("succeeded", [("succeeded", True)] * 3)


async def test_an_equal_pipeline_ends_at_once_with_the_results_of_the_first(parts: Parts) -> None:
    await parts.upload()
    first = await parts.finished(result={"execution": Execution("cpu", "cpu", thread_cap=2)})
    before = await files_of(parts)
    second = await parts.submit()
    assert await shown(parts, second) == REUSED
    assert await files_of(parts) == before
    assert len(await parts.rows("SELECT 1 FROM outbox")) == 7  # the first job's tasks alone
    runs = {r["run_id"]: r for r in (await parts.records.job(first))["stages"]}
    job = await parts.records.job(second)
    assert job["reused"]
    for run in job["stages"]:
        source = runs[run["reused_run_id"]]
        assert [run[k] for k in ("stage", "counts", "fingerprint", "resolved_device")] == [
            source[k] for k in ("stage", "counts", "fingerprint", "resolved_device")
        ]


async def test_the_marker_says_that_it_was_reused_and_when_the_work_was_done(parts: Parts) -> None:
    await parts.upload()
    await parts.finished(result={"execution": Execution("cpu", "cpu", thread_cap=2)})
    episode = await parts.episodes.get("show")

    async def marker() -> dict[str, Any]:
        await parts.markers.write_missing()
        return dict(json.loads(parts.store.get_bytes(f"{episode['episode_uid']}/runs/cluster.json")))

    first = await marker()
    job = await parts.records.job(await parts.submit())
    second = await marker()
    assert (first["reused"], second["reused"]) == (False, True)
    assert second["reused_run_id"] == first["run_id"]
    assert second["run_id"] == job["stages"][2]["run_id"]
    same = ("started_at", "finished_at", "fingerprint", "thread_cap", "identities", "resolved_device")
    assert [second[k] for k in same] == [first[k] for k in same]
    phase = (await parts.records.status(episode))["phases"]["cluster"]
    assert (phase["started_at"], phase["finished_at"]) == (first["started_at"], first["finished_at"])


async def test_a_status_after_a_reuse_is_fresh(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    await parts.submit()
    status = await parts.records.status(await parts.episodes.get("show"))
    assert {phase["status"] for phase in status["phases"].values()} == {"success"}
    assert (status["faces_stale"], status["cluster_stale"]) == (False, False)


async def test_force_works_anew(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    job_id = await parts.submit(force=True)
    assert await shown(parts, job_id) == ("queued", [("queued", False), ("waiting", False), ("waiting", False)])
    await parts.finish(job_id)
    assert not (await parts.records.job(job_id))["reused"]


async def test_only_what_differs_is_worked_on(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    job_id = await parts.submit(overrides={"track_threshold": 0.61})
    assert await shown(parts, job_id) == (
        "queued",
        [("succeeded", True), ("succeeded", True), ("queued", False)],
    )
    task = await parts.task(job_id)
    assert {ref.kind for ref in task.inputs} == {"detections", "tracks", "scenes", "faces", "embeddings"}
    await parts.finish(job_id)
    assert not (await parts.records.job(job_id))["reused"]


async def test_going_back_to_earlier_parameters_makes_their_results_current_again(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    first = await files_of(parts)
    await parts.finished(overrides={"stride": 9})
    assert await files_of(parts) != first
    assert await shown(parts, await parts.submit()) == REUSED
    assert await files_of(parts) == first


async def test_a_result_that_was_reused_can_be_reused(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    for _ in range(2):
        assert await shown(parts, await parts.submit()) == REUSED
    sources = await parts.rows("SELECT DISTINCT reused_run_id FROM stage_runs WHERE reused_run_id IS NOT NULL")
    originals = await parts.rows("SELECT run_id FROM stage_runs WHERE reused_run_id IS NULL")
    assert {r["reused_run_id"] for r in sources} == {r["run_id"] for r in originals}


@pytest.mark.parametrize("damage", ["gone", "cut short"])
@pytest.mark.parametrize("kind", ["chips", "embeddings", "identities"])
async def test_a_result_whose_file_is_damaged_is_made_anew(parts: Parts, kind: str, damage: str) -> None:
    await parts.upload()
    await parts.finished()
    (row,) = await parts.rows("SELECT uri, run_id FROM artifacts WHERE kind = %s", kind)
    if damage == "gone":
        parts.store.delete(row["uri"])
    else:
        parts.store.put_bytes(row["uri"], b"x")
    job = await parts.records.job(await parts.submit())
    queued = [run["stage"] for run in job["stages"] if run["state"] == "queued"]
    (broken,) = await parts.rows("SELECT stage FROM stage_runs WHERE run_id = %s", row["run_id"])
    assert queued == [broken["stage"]]


async def test_an_older_equal_result_serves_when_the_files_of_the_newest_are_gone(parts: Parts) -> None:
    await parts.upload()
    older = await parts.finished(JobKind.DETECT_TRACK)
    newer = await parts.finished(JobKind.DETECT_TRACK, force=True)
    for row in await parts.rows(
        "SELECT uri FROM artifacts JOIN stage_runs USING (run_id) WHERE job_id = %s", newer
    ):
        parts.store.delete(row["uri"])
    (run,) = (await parts.records.job(await parts.submit(JobKind.DETECT_TRACK)))["stages"]
    assert run["reused_run_id"] == (await parts.records.job(older))["stages"][0]["run_id"]


async def test_the_same_name_with_another_video_reuses_nothing(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    await parts.upload(content=b"\x00\x00\x00\x20ftypisom" + b"other" * 99, replace=True)
    assert (await shown(parts, await parts.submit()))[0] == "queued"


async def test_an_empty_result_is_reused_and_skips_the_rest(parts: Parts) -> None:
    await parts.upload()
    await parts.finished(result={"counts": {"detections": 0}})
    job = await parts.records.job(await parts.submit())
    assert [run["state"] for run in job["stages"]] == ["succeeded", "skipped", "skipped"]
    assert (job["state"], job["reused"]) == ("succeeded", True)


async def test_a_stage_of_its_own_reuses_what_a_pipeline_has_left(parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    for stage in STAGE_ORDER:
        job = await parts.records.job(await parts.submit(JobKind(stage)))
        assert (job["state"], job["reused"]) == ("succeeded", True)


async def test_a_later_stage_is_reused_when_the_work_before_it_comes_out_equal(parts: Parts) -> None:
    """faces_embed and cluster depend on digests, not on which run has made the files."""
    await parts.upload()
    await parts.finished()
    rows = await parts.rows("SELECT kind, uri, sha256, size_bytes FROM artifacts")
    parts.store.delete(next(row["uri"] for row in rows if row["kind"] == "scenes"))
    job_id = await parts.submit()
    digests = {row["kind"]: row for row in rows}
    while (await parts.records.job(job_id))["stages"][0]["state"] != "succeeded":
        for task in await parts.tasks(job_id):
            fields = success_of(task)
            if task.kind == "stitch":
                same = tuple(
                    type(ref)(ref.kind, ref.uri, digests[ref.kind]["sha256"], ref.size_bytes, ref.rows)
                    for ref in fields["outputs"]
                )
                fields |= {"outputs": same}
            await parts.do(task, **fields)
    assert await shown(parts, job_id) == (
        "succeeded",
        [("succeeded", False), ("succeeded", True), ("succeeded", True)],
    )


async def test_the_api_says_what_was_reused(api: httpx.AsyncClient, parts: Parts) -> None:
    await parts.upload()
    await parts.finished()
    job = (await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu"})).json()
    assert (job["state"], job["reused"], job["stages"][0]["reused"]) == ("succeeded", True, True)
    events = await parts.records.events(job["job_id"], after=0)
    assert "reused the result of run" in events[0]["payload"]["reason"]
    forced = (await api.post("/v1/jobs", json={"ep_id": "show", "device": "cpu", "force": True})).json()
    assert (forced["state"], forced["reused"], forced["force"]) == ("queued", False, True)

"""Retry and resume: a new job in place of an ended one, from the start or from what is done."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.kit.errors import Conflict, NotFound
from services.kit.messages import Execution, TaskOutcome
from services.orchestrator.job_request import JobKind
from tests.integration.parts import Parts, success_of

DETECT = JobKind.DETECT_TRACK


async def died_with_segments(parts: Parts, *done: int, kind: JobKind = DETECT, **fields: Any) -> str:
    """A job that was rejected in one segment, after those of `done` had succeeded."""
    await parts.upload()
    job_id = await parts.submit(kind, **fields)
    await parts.do(await parts.task(job_id))
    for task in await parts.tasks(job_id):
        if task.ordinal in done:
            await parts.do(task, counts={"frames_decoded": 100}, execution=Execution("cpu", "cpu"))
    await parts.store_files()
    if left := await parts.tasks(job_id):
        attempt_id, _ = await parts.claim(left[0])
        await parts.report(left[0], attempt_id, TaskOutcome.REJECTED, error_code="stage-failed")
    assert (await parts.states(job_id))[0] == "failed"
    return job_id


async def resume(parts: Parts, job_id: str) -> str:
    return await parts.successors.resume(job_id, submitted_by="a test")


async def retry(parts: Parts, job_id: str) -> str:
    return await parts.successors.retry(job_id, submitted_by="a test")


async def work_left(parts: Parts, job_id: str) -> list[tuple[str, int]]:
    return [(task.kind, task.ordinal) for task in await parts.tasks(job_id)]


async def test_a_job_that_died_in_detect_goes_on_with_the_segments_that_are_not_done(parts: Parts) -> None:
    job_id = await resume(parts, await died_with_segments(parts, 0, 2))
    assert await work_left(parts, job_id) == [("segment", 1)]
    (run,) = (await parts.records.job(job_id))["stages"]
    assert (run["state"], run["tasks_done"], run["tasks_total"]) == ("queued", 3, 4)


async def test_the_segment_it_goes_on_with_is_the_same_part_of_the_video(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 1)
    (before,) = await parts.rows(
        "SELECT message -> 'segment' AS segment FROM tasks WHERE job_id = %s AND state = 'dead'", ended
    )
    (task,) = await parts.rows(
        "SELECT message -> 'segment' AS segment FROM tasks WHERE job_id = %s AND state = 'live'",
        await resume(parts, ended),
    )
    assert task == before


async def test_the_last_step_gets_the_files_of_both_jobs_and_the_counts_are_summed(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 2)
    job_id = await resume(parts, ended)
    await parts.do(await parts.task(job_id), counts={"frames_decoded": 11})
    stitch = await parts.task(job_id)
    assert stitch.kind == "stitch"
    made_by = await parts.rows(
        "SELECT r.job_id FROM artifacts a JOIN tasks t USING (task_id) JOIN stage_runs r ON r.run_id = t.run_id "
        "WHERE a.uri = ANY(%s) AND r.job_id = %s",
        [ref.uri for ref in stitch.inputs],
        ended,
    )
    assert (len(stitch.inputs), len(made_by)) == (3, 2)
    await parts.do(stitch)
    job = await parts.records.job(job_id)
    assert job["state"] == "succeeded"
    assert job["stages"][0]["counts"]["frames_decoded"] == 211
    assert not job["reused"]


async def test_what_it_took_over_is_never_offered_to_a_worker(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 2)
    before = len(await parts.rows("SELECT 1 FROM outbox"))
    job_id = await resume(parts, ended)
    assert len(await parts.rows("SELECT 1 FROM outbox")) == before + 1
    done = await parts.tasks(job_id, "done")
    assert {task.job_id for task in done} == {job_id}
    for task in done:
        assert (await parts.claim(task))[1].decision == "drop"


async def test_a_cancelled_job_can_be_resumed_as_well(parts: Parts) -> None:
    await parts.upload()
    ended = await parts.submit(DETECT)
    await parts.do(await parts.task(ended))
    first, *_ = await parts.tasks(ended)
    await parts.do(first)
    await parts.store_files()
    await parts.jobs.cancel(ended)
    assert await work_left(parts, await resume(parts, ended)) == [("segment", 1), ("segment", 2)]


async def test_where_all_segments_are_done_only_the_last_step_is_left(parts: Parts) -> None:
    await parts.upload()
    ended = await parts.submit(DETECT)
    await parts.do(await parts.task(ended))
    for task in await parts.tasks(ended):
        await parts.do(task)
    await parts.store_files()
    await parts.jobs.cancel(ended)
    assert await work_left(parts, await resume(parts, ended)) == [("stitch", 0)]


async def test_a_segment_whose_file_is_gone_is_worked_on_again(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 1)
    (row,) = await parts.rows("SELECT uri FROM artifacts JOIN tasks USING (task_id) WHERE ordinal = 1")
    parts.store.delete(row["uri"])
    assert await work_left(parts, await resume(parts, ended)) == [("segment", 1), ("segment", 2)]


async def test_a_job_that_died_before_any_segment_begins_anew(parts: Parts) -> None:
    assert await work_left(parts, await resume(parts, await died_with_segments(parts))) == [("plan", 0)]


async def test_what_was_taken_over_is_taken_over_again(parts: Parts) -> None:
    first = await died_with_segments(parts, 0)
    second = await resume(parts, first)
    for task in await parts.tasks(second):
        if task.ordinal == 1:
            await parts.do(task)
    await parts.store_files()
    await parts.jobs.cancel(second)
    third = await resume(parts, second)
    assert await work_left(parts, third) == [("segment", 2)]
    assert (await parts.records.job(third))["resume_of"] == second


async def test_a_resumed_pipeline_reuses_its_finished_stages(parts: Parts) -> None:
    await parts.upload()
    ended = await parts.submit(force=True)
    while (await parts.states(ended))[1][0] != "succeeded":
        for task in await parts.tasks(ended):
            await parts.do(task)
    await parts.store_files()
    await parts.jobs.cancel(ended)
    job = await parts.records.job(await resume(parts, ended))
    assert [(run["state"], run["reused"]) for run in job["stages"]] == [
        ("succeeded", True),
        ("queued", False),
        ("waiting", False),
    ]


async def test_a_retry_begins_an_unfinished_stage_from_its_start(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 2, overrides={"stride": 3})
    job_id = await retry(parts, ended)
    assert await work_left(parts, job_id) == [("plan", 0)]
    assert '"stride":3' in (await parts.task(job_id)).config_json
    assert (await parts.records.job(job_id))["retry_of"] == ended
    assert (await parts.states(ended))[0] == "failed"


@pytest.mark.parametrize("again", [retry, resume])
async def test_only_an_ended_job_that_did_not_succeed_can_be_done_again(parts: Parts, again: Any) -> None:
    job_id = await parts.submitted()
    with pytest.raises(Conflict) as running:
        await again(parts, job_id)
    assert running.value.extras["job_id"] == job_id
    await parts.finish(job_id)
    with pytest.raises(Conflict, match="nothing to do again"):
        await again(parts, job_id)
    with pytest.raises(NotFound):
        await again(parts, "nobody")


@pytest.mark.parametrize("again", [retry, resume])
async def test_a_job_whose_video_was_replaced_is_not_done_again(parts: Parts, again: Any) -> None:
    job_id = await parts.submitted()
    await parts.jobs.cancel(job_id)
    await parts.upload(content=b"\x00\x00\x00\x20ftypisom" + b"other" * 99, replace=True)
    with pytest.raises(Conflict, match="replaced"):
        await again(parts, job_id)


async def test_a_second_resume_conflicts_with_the_first(parts: Parts) -> None:
    ended = await died_with_segments(parts, 0)
    job_id = await resume(parts, ended)
    with pytest.raises(Conflict) as refused:
        await resume(parts, ended)
    assert refused.value.extras["job_id"] == job_id


async def test_a_late_result_of_the_ended_job_changes_nothing_in_the_resumed_one(parts: Parts) -> None:
    await parts.upload()
    ended = await parts.submit(DETECT)
    await parts.do(await parts.task(ended))
    slow, quick, _ = await parts.tasks(ended)
    attempt_id, _ = await parts.claim(slow)
    await parts.do(quick)
    await parts.store_files()
    await parts.jobs.cancel(ended)
    job_id = await resume(parts, ended)
    assert await parts.report(slow, attempt_id, TaskOutcome.SUCCEEDED, **success_of(slow)) == "fenced"
    assert await work_left(parts, job_id) == [("segment", 0), ("segment", 2)]


async def test_both_are_verbs_of_the_api(api: httpx.AsyncClient, parts: Parts) -> None:
    ended = await died_with_segments(parts, 0, 1)
    resumed = await api.post(f"/v1/jobs/{ended}:resume")
    assert (resumed.status_code, resumed.json()["resume_of"]) == (202, ended)
    assert resumed.headers["location"] == f"/v1/jobs/{resumed.json()['job_id']}"
    assert (await api.post(f"/v1/jobs/{ended}:retry")).status_code == 409
    await api.post(f"/v1/jobs/{resumed.json()['job_id']}:cancel")
    retried = await api.post(f"/v1/jobs/{ended}:retry")
    assert (retried.status_code, retried.json()["retry_of"]) == (202, ended)
    missing = await api.post("/v1/jobs/nobody:resume")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")

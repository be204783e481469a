"""Submitting: one transaction, one active run of a stage per episode, inputs checked."""

from __future__ import annotations

import asyncio

import pytest

from services.kit import bus
from services.kit.codec import decode
from services.kit.errors import (
    AcceleratorUnavailable,
    Conflict,
    InvalidRequest,
    NotFound,
    ScreenalyticsError,
)
from services.kit.inference.placement import Provider
from services.kit.messages import Heartbeat, Task, WorkerState, now_at
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.settings import JobsSettings, RoutesSettings
from tests.integration.parts import Parts


async def test_a_submit_writes_job_runs_task_and_outbox(parts: Parts) -> None:
    job_id = await parts.submitted()
    assert await parts.states(job_id) == ("queued", ["queued", "waiting", "waiting"])
    task = await parts.task(job_id)
    assert (task.kind, task.stage, task.provider, task.requested_device) == (
        "plan",
        "detect_track",
        "cpu",
        "cpu",
    )
    (outbox,) = await parts.rows("SELECT subject, payload, sent_at FROM outbox")
    assert outbox["subject"] == bus.task_subject(task)
    assert decode(Task, bytes(outbox["payload"])) == task
    assert outbox["sent_at"] is None


@pytest.mark.usefixtures("own_database")
async def test_a_submit_that_fails_late_leaves_nothing(parts: Parts) -> None:
    await parts.upload()
    await parts.rows("ALTER TABLE outbox ADD CONSTRAINT full_up CHECK (false)")
    with pytest.raises(Exception, match="full_up"):
        await parts.submit()
    for table in ("jobs", "stage_runs", "tasks", "job_events"):
        assert await parts.rows(f"SELECT 1 FROM {table}") == []


async def test_a_second_submit_conflicts_and_names_the_first_job(parts: Parts) -> None:
    job_id = await parts.submitted()
    with pytest.raises(Conflict) as refused:
        await parts.submit()
    assert refused.value.extras["job_id"] == job_id


async def test_of_ten_submits_at_once_one_wins_and_nine_name_it(parts: Parts) -> None:
    await parts.upload()
    answers = await asyncio.gather(*(parts.submit() for _ in range(10)), return_exceptions=True)
    (winner,) = [a for a in answers if isinstance(a, str)]
    losers = [a for a in answers if isinstance(a, Conflict)]
    assert len(losers) == 9
    assert {loser.extras["job_id"] for loser in losers} == {winner}
    assert len(await parts.rows("SELECT 1 FROM jobs")) == 1
    assert len(await parts.rows("SELECT 1 FROM outbox")) == 1


async def test_a_single_stage_conflicts_with_a_pipeline_that_will_run_it(parts: Parts) -> None:
    job_id = await parts.submitted()
    with pytest.raises(Conflict) as refused:
        await parts.submit(JobKind.DETECT_TRACK)
    assert refused.value.extras["job_id"] == job_id


async def test_another_episode_is_no_conflict(parts: Parts) -> None:
    await parts.submitted()
    await parts.upload("other")
    assert await parts.submit(ep_id="other")


async def test_an_ended_job_is_no_conflict(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.jobs.cancel(job_id)
    assert await parts.submit() != job_id


async def test_an_unknown_episode_is_not_found(parts: Parts) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await parts.submit(ep_id="nobody")


@pytest.mark.parametrize("kind", [JobKind.FACES_EMBED, JobKind.CLUSTER])
async def test_a_single_stage_without_its_input_is_refused(parts: Parts, kind: JobKind) -> None:
    await parts.upload()
    with pytest.raises(Conflict, match="detect_track"):
        await parts.submit(kind)


async def test_a_stage_takes_the_artifacts_of_the_stages_before(parts: Parts) -> None:
    await parts.finish(await parts.submitted())
    task = await parts.task(await parts.submit(JobKind.CLUSTER))
    assert {ref.kind for ref in task.inputs} == {"detections", "tracks", "scenes", "faces", "embeddings"}


async def test_an_override_that_does_not_fit_writes_nothing(parts: Parts) -> None:
    await parts.upload()
    for overrides in ({"stride": 0}, {"no_such_field": 1}):
        with pytest.raises(InvalidRequest):
            await parts.submit(overrides=overrides)
    assert await parts.rows("SELECT 1 FROM jobs") == []


async def test_cuda_without_a_route_is_refused_and_says_which_routes_there_are(parts: Parts) -> None:
    await parts.upload()
    with pytest.raises(AcceleratorUnavailable, match="detect_track/cpu"):
        await parts.submit(device=Provider.CUDA)


async def test_cuda_falls_back_to_the_cpu_only_when_allowed_and_says_so(parts: Parts) -> None:
    await parts.upload()
    job_id = await parts.submit(device=Provider.CUDA, allow_cpu_fallback=True)
    job = await parts.records.job(job_id)
    assert {run["provider"] for run in job["stages"]} == {"cpu"}
    assert job["requested_device"] == "cuda"
    (warning,) = job["warnings"]
    assert "CPU" in warning


async def test_a_pipeline_needs_a_route_for_every_stage(parts: Parts) -> None:
    await parts.upload()
    partial = parts.limited(routes=RoutesSettings(declared=("detect_track/cpu",), grace_s=0))
    with pytest.raises(AcceleratorUnavailable, match="faces_embed, cluster"):
        await partial.submit()
    assert await partial.submit(JobKind.DETECT_TRACK)


def beat(state: WorkerState, provider: str = "cpu") -> Heartbeat:
    return Heartbeat("w1", "detect_track", state, "cpu", provider, now_at())


async def test_a_live_worker_is_a_route_and_a_refused_one_is_not(parts: Parts) -> None:
    await parts.upload()
    undeclared = parts.limited(routes=RoutesSettings(declared=(), grace_s=0))
    registry = WorkerRegistry(parts.nc, parts.database)
    await registry.record(beat(WorkerState.REFUSED, ""))
    with pytest.raises(AcceleratorUnavailable):
        await undeclared.submit(JobKind.DETECT_TRACK)
    await registry.record(beat(WorkerState.READY))
    assert await undeclared.submit(JobKind.DETECT_TRACK)


async def test_a_queued_run_without_a_worker_says_what_it_waits_for(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    (run,) = (await parts.records.job(job_id))["stages"]
    assert run["waiting_for"] == "a worker of detect_track on cpu"
    await WorkerRegistry(parts.nc, parts.database).record(beat(WorkerState.READY))
    (run,) = (await parts.records.job(job_id))["stages"]
    assert run["waiting_for"] is None


async def test_the_config_is_frozen_at_submit(parts: Parts) -> None:
    job_id = await parts.submitted(overrides={"stride": 7})
    (row, *_) = await parts.rows("SELECT config FROM stage_runs WHERE job_id = %s ORDER BY position", job_id)
    assert row["config"]["stride"] == 7
    assert '"stride":7' in (await parts.task(job_id)).config_json


async def test_limits_of_the_settings_travel_with_the_task(parts: Parts) -> None:
    await parts.upload()
    limited = parts.limited(jobs=JobsSettings(stall_s=11, max_runtime_s=222))
    task = await parts.task(await limited.submit())
    assert (task.stall_s, task.max_runtime_s) == (11, 222)


async def test_cancelling_what_is_not_there_is_not_found(parts: Parts) -> None:
    with pytest.raises(NotFound):
        await parts.jobs.cancel("nobody")


async def test_cancelling_twice_and_cancelling_an_ended_job_change_nothing(parts: Parts) -> None:
    job_id = await parts.submitted()
    for _ in range(2):
        await parts.jobs.cancel(job_id)
        assert await parts.states(job_id) == ("cancelled", ["cancelled"] * 3)
    done = await parts.submit()
    await parts.finish(done)
    await parts.jobs.cancel(done)
    assert (await parts.states(done))[0] == "succeeded"


async def test_every_refusal_is_of_the_error_tree(parts: Parts) -> None:
    for overrides in (
        {"detector": ["x"]},
        {"detector": "x\x00"},
        {"cut_threshold": float("inf")},
        {"stride": 10**30},
    ):
        with pytest.raises(ScreenalyticsError):
            await parts.submit(overrides=overrides)

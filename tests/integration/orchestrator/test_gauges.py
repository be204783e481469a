"""Gauges tell what stands in Postgres, and forget what no longer does; counters tell what was applied, once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from services.kit.codec import to_dict
from services.kit.inference.catalog import Catalog
from services.kit.messages import MediaInfo, TaskOutcome
from services.kit.stages import Stage
from services.orchestrator.gauges import StateGauges
from services.orchestrator.job_request import JobKind
from services.orchestrator.stale_gauge import StaleGauge
from services.orchestrator.transitions import cancel_job
from tests.integration.parts import COUNTS, Parts

ROUTE = {"stage": "detect_track", "provider": "cpu"}


async def value(parts: Parts, name: str, **labels: Any) -> float | None:
    await StateGauges(parts.database).read()
    return REGISTRY.get_sample_value(f"screenalytics_{name}", {k: str(v) for k, v in labels.items()})


async def test_a_task_is_queued_until_a_worker_has_claimed_it_and_forgotten_at_its_end(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    assert await value(parts, "tasks", **ROUTE, state="queued") == 1
    assert (await value(parts, "oldest_queued_task_seconds", **ROUTE) or 0) > 0
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    assert await value(parts, "tasks", **ROUTE, state="queued") == 0
    assert await value(parts, "tasks", **ROUTE, state="in_work") == 1
    assert await value(parts, "oldest_queued_task_seconds", **ROUTE) == 0
    await parts.report(task, attempt_id, TaskOutcome.RETRY)
    assert await value(parts, "tasks", **ROUTE, state="queued") == 1
    await parts.finish(job_id)
    assert await value(parts, "tasks", **ROUTE, state="queued") is None


async def test_messages_that_were_not_sent_are_counted_until_they_are(parts: Parts) -> None:
    await parts.submitted()
    assert await value(parts, "outbox_rows") == 1
    assert (await value(parts, "outbox_oldest_seconds") or 0) > 0
    await parts.rows("UPDATE outbox SET sent_at = now()")
    assert await value(parts, "outbox_rows") == 0
    assert await value(parts, "outbox_oldest_seconds") == 0


async def test_runs_that_ended_are_counted_by_stage_and_outcome(parts: Parts) -> None:
    await parts.finish(await parts.submitted())
    for stage in Stage:
        assert await value(parts, "recent_stage_runs", stage=stage, outcome="succeeded") == 1
        assert await value(parts, "recent_stage_runs", stage=stage, outcome="failed") == 0
    await parts.rows("UPDATE stage_runs SET zero_rows = true WHERE stage = 'detect_track'")
    assert await value(parts, "recent_stage_runs", stage="detect_track", outcome="zero_rows") == 1
    await parts.rows("UPDATE stage_runs SET finished_at = now() - interval '2 hours'")
    assert await value(parts, "recent_stage_runs", stage="cluster", outcome="succeeded") == 0


async def test_a_dead_letter_is_counted(parts: Parts) -> None:
    task = await parts.task(await parts.submitted(JobKind.DETECT_TRACK))
    assert await value(parts, "dead_letters", stage="detect_track") == 0
    attempt_id, _ = await parts.claim(task)
    await parts.rows("UPDATE tasks SET attempts = max_attempts")
    await parts.report(task, attempt_id, TaskOutcome.RETRY)
    await parts.claim(task)
    assert await value(parts, "dead_letters", stage="detect_track") == 1


async def test_requests_are_counted_by_kind_of_answer_and_probes_are_not(api: httpx.AsyncClient) -> None:
    def counted(status: str) -> float:
        labels = {"method": "GET", "status": status}
        return REGISTRY.get_sample_value("screenalytics_http_requests_total", labels) or 0.0

    before = {status: counted(status) for status in ("2xx", "4xx", "5xx")}
    await api.get("/v1/workers")
    await api.get("/v1/episodes/nobody")
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await api.get(path)).status_code == 200
    after = {status: counted(status) - before[status] for status in before}
    assert after == {"2xx": 1, "4xx": 1, "5xx": 0}


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"screenalytics_{name}", labels) or 0.0


async def test_a_job_that_starts_and_ends_is_counted_once_each(parts: Parts) -> None:
    def counted() -> tuple[float, ...]:
        ends = [sample("jobs_ended_total", outcome=o) for o in ("succeeded", "failed", "cancelled")]
        return (sample("job_start_seconds_count"), *ends)

    before = counted()
    job_id = await parts.submitted()
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    await parts.claim(task, attempt_id)  # the answer was lost
    await parts.finish(job_id)
    cancelled = await parts.submit(force=True)
    await parts.jobs.cancel(cancelled)
    await parts.jobs.cancel(cancelled)
    assert [after - b for after, b in zip(counted(), before, strict=True)] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("invalid-media", "refused"), ("stage-failed", "failed"), ("model-unusable", "failed")],
)
async def test_a_job_that_fails_by_what_it_was_given_is_counted_apart(
    parts: Parts, code: str, outcome: str
) -> None:
    task = await parts.task(await parts.submitted(JobKind.DETECT_TRACK))
    attempt_id, _ = await parts.claim(task)
    before = sample("jobs_ended_total", outcome=outcome)
    await parts.report(task, attempt_id, TaskOutcome.REJECTED, error_code=code, error_message="no")
    assert sample("jobs_ended_total", outcome=outcome) == before + 1


async def test_what_is_rolled_back_is_not_counted(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    before = sample("jobs_ended_total", outcome="cancelled")

    async def fail_before_the_commit() -> None:
        async with parts.database.transaction() as tx:
            job = await tx.one("lock_job", job_id=job_id)
            assert job is not None
            await cancel_job(tx, job)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_before_the_commit()
    assert sample("jobs_ended_total", outcome="cancelled") == before


async def test_video_and_screen_time_are_counted_when_a_stage_is_done_and_not_when_it_is_reused(
    parts: Parts,
) -> None:
    def counted() -> tuple[float, float]:
        return sample("video_seconds_total", stage="cluster"), sample("screen_time_seconds_total")

    before = counted()
    await parts.upload()
    info = MediaInfo(
        640, 360, 25, 1, duration_s=60, codec="h264", time_base_num=1, time_base_den=25, frames=1500
    )
    await parts.rows("UPDATE episodes SET media_info = %s", json.dumps(to_dict(info)))
    job_id = await parts.submit()
    while tasks := await parts.tasks(job_id):
        for task in tasks:
            found = {"screen_time_s": 45} if task.stage == "cluster" else {}
            await parts.do(task, counts=COUNTS | found)
    await parts.store_files()
    first = counted()
    assert (first[0] - before[0], first[1] - before[1]) == (60, 45)
    await parts.finished()  # every result is there already
    assert counted() == first


async def test_an_episode_with_a_stale_result_is_counted(parts: Parts) -> None:
    gauge = StaleGauge(parts.database, Catalog.load(None))
    await parts.upload()
    await parts.finished()
    await gauge.read()
    assert [sample("stale_episodes", stage=stage) for stage in Stage] == [0, 0, 0]
    await parts.rows(
        "UPDATE stage_runs SET algorithm_version = 0, fingerprint = 'x' WHERE stage = 'faces_embed'"
    )
    await gauge.read()
    assert [sample("stale_episodes", stage=stage) for stage in Stage] == [0, 1, 1]

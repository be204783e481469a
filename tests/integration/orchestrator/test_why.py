"""Why a job is as it is, from what stands in Postgres, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.kit.inference.placement import Provider
from services.kit.messages import Heartbeat, TaskOutcome, WorkerState, now_at
from services.orchestrator.inquiry import Inquiry
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.settings import RoutesSettings
from tests.integration.parts import Parts


async def beat(parts: Parts, state: WorkerState, worker_id: str = "a worker", **fields: Any) -> None:
    facts: dict[str, Any] = {"requested_provider": "cpu", "effective_provider": "cpu"} | fields
    heartbeat = Heartbeat(worker_id, "detect_track", state, at=now_at(), **facts)
    await WorkerRegistry(parts.nc, parts.database).record(heartbeat)


async def case(parts: Parts, job_id: str) -> str:
    return (await Inquiry(parts.database, parts.settings.jobs).why(job_id)).case


@pytest.fixture
async def job_id(parts: Parts) -> str:
    """Queued, with its task sent."""
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.rows("UPDATE outbox SET sent_at = now()")
    return job_id


async def test_from_the_queue_to_the_end(parts: Parts, job_id: str) -> None:
    assert await case(parts, job_id) == "no-worker"
    await beat(parts, WorkerState.READY)
    assert await case(parts, job_id) == "about-to-be-taken"
    await beat(parts, WorkerState.BUSY)
    assert await case(parts, job_id) == "workers-busy"
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    assert await case(parts, job_id) == "working"
    await parts.rows("UPDATE workers SET last_seen_at = now() - interval '20 seconds'")
    assert await case(parts, job_id) == "worker-silent"
    await beat(parts, WorkerState.READY)
    await parts.report(task, attempt_id, TaskOutcome.RETRY, error_message="the disk is full")
    assert await case(parts, job_id) == "tries-again"
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.HANDED_BACK)
    assert await case(parts, job_id) == "handed-back"
    await parts.finish(job_id)
    assert await case(parts, job_id) == "succeeded"


async def test_a_task_that_the_broker_does_not_take(parts: Parts, job_id: str) -> None:
    await parts.rows("UPDATE outbox SET sent_at = NULL, created_at = now() - interval '1 minute'")
    assert await case(parts, job_id) == "unsent"


async def test_a_worker_that_refused_the_very_device(parts: Parts) -> None:
    await parts.upload()
    both = parts.limited(routes=RoutesSettings(declared=("detect_track/cuda",), grace_s=0))
    job_id = await both.submit(JobKind.DETECT_TRACK, device=Provider.CUDA)
    refused = {"effective_provider": "", "reason": "no CUDA device"}
    await beat(parts, WorkerState.REFUSED, requested_provider="cpu", **refused)
    await parts.rows("UPDATE outbox SET sent_at = now()")
    assert await case(parts, job_id) == "no-worker"
    await beat(parts, WorkerState.REFUSED, requested_provider="cuda", **refused)
    assert await case(parts, job_id) == "worker-refused"


async def test_older_tasks_of_other_jobs_are_counted(parts: Parts, job_id: str) -> None:
    await parts.upload("other")
    later = await parts.submit(JobKind.DETECT_TRACK, ep_id="other")
    await parts.rows("UPDATE outbox SET sent_at = now()")
    await beat(parts, WorkerState.BUSY)
    inquiry = Inquiry(parts.database, parts.settings.jobs)
    assert "1 task of other jobs came first" in (await inquiry.why(later)).sentence
    assert "came first" not in (await inquiry.why(job_id)).sentence


async def test_how_jobs_ended(parts: Parts) -> None:
    await parts.upload()
    empty = await parts.finished(result={"counts": {"detections": 0}})
    assert await case(parts, empty) == "zero-rows"
    await parts.finished(force=True)
    assert await case(parts, await parts.submit()) == "reused"
    cancelled = await parts.submit(force=True)
    await parts.jobs.cancel(cancelled)
    assert await case(parts, cancelled) == "cancelled"
    failed = await parts.submit(force=True)
    task = await parts.task(failed)
    attempt_id, _ = await parts.claim(task)
    bad = {"error_code": "invalid-media", "error_message": "no video stream"}
    await parts.report(task, attempt_id, TaskOutcome.REJECTED, **bad)
    assert await case(parts, failed) == "invalid-media"


async def test_it_is_one_call(api: httpx.AsyncClient, job_id: str) -> None:
    answer = (await api.get(f"/v1/jobs/{job_id}/why")).json()
    assert answer["job_id"] == job_id
    assert answer["case"] == "no-worker"
    assert answer["sentence"] == "It waits for a worker of detect_track on cpu, and none is running."
    assert answer["next_step"]
    missing = await api.get("/v1/jobs/nobody/why")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")

"""Gauges tell what stands in Postgres, and forget what no longer does."""

from __future__ import annotations

from typing import Any

import httpx
from prometheus_client import REGISTRY

from services.kit.messages import TaskOutcome
from services.kit.stages import Stage
from services.orchestrator.gauges import StateGauges
from services.orchestrator.jobs import JobKind
from tests.integration.parts import Parts

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

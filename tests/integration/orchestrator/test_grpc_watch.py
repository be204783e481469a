"""`WatchJob`: the events of server-sent events, resumed by `after_seq` without loss or doubling."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.kit.messages import TaskOutcome
from services.orchestrator.job_request import JobKind
from services.pb.screenalytics.v1 import api_pb2
from tests.integration.orchestrator.conftest import Served
from tests.integration.orchestrator.grpc_client import Rpcs, filled, shown
from tests.integration.orchestrator.test_event_stream import followed, logged
from tests.integration.parts import Parts

MANY = 1_000
RECONNECTS = 20


@pytest.fixture
async def rpcs(both: Served) -> Rpcs:
    return Rpcs(both.grpc)


def told(event: api_pb2.JobEvent) -> tuple[str, dict[str, Any]]:
    kind = str(event.WhichOneof("event"))
    return kind, filled(shown(getattr(event, kind)))


async def test_both_transports_tell_the_same_story(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    await logged(parts, task, "found a face")
    attempt_id, _ = await parts.claim(task)
    await parts.report(
        task, attempt_id, TaskOutcome.REJECTED, error_code="invalid-media", error_message="no video"
    )
    over_grpc = [told(event) async for event in rpcs("WatchJob", job_id=job_id)]
    over_rest = [(event.event, filled(event.json())) for event in await followed(both.http, job_id)]
    assert over_grpc == over_rest
    assert over_grpc[-1] == ("end", {"state": "failed"})


async def test_a_watcher_hears_what_happens_while_it_watches(rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    watch = aiter(rpcs("WatchJob", job_id=job_id))
    first = await anext(watch)
    await logged(parts, task, "found a face")
    await parts.finish(job_id)
    kinds = [told(event) async for event in watch]
    assert first.WhichOneof("event") == "state"
    assert [data["message"] for kind, data in kinds if kind == "log"] == ["found a face"]
    assert kinds[-1] == ("end", {"state": "succeeded"})


async def test_progress_is_told_as_snapshots(rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    await parts.claim(task)
    said = {
        "phase": "plan", "done": 5.0, "total": 10.0, "unit": "frames", "fraction": 0.5, "rate": 2.0,
        "eta_s": 2.5, "at": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    await parts.rows("UPDATE tasks SET progress = %s WHERE task_id = %s", psycopg_json(said), task.task_id)
    async for event in rpcs("WatchJob", job_id=job_id):
        if event.WhichOneof("event") == "progress":
            assert (event.progress.stage, event.progress.unit) == (api_pb2.STAGE_DETECT_TRACK, "frames")
            assert (event.progress.done, event.progress.fps, event.progress.eta_s) == (5.0, 2.0, 2.5)
            return
    raise AssertionError("no progress was told")


def psycopg_json(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)


async def test_a_thousand_events_over_twenty_connections_are_each_told_once(rpcs: Rpcs, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.jobs.cancel(job_id)
    await parts.rows(
        "INSERT INTO job_events (job_id, seq, type, payload) "
        "SELECT %s, n, 'log', '{}' FROM generate_series(5, %s) AS n",
        job_id,
        MANY,
    )
    seen: list[int] = []
    for _ in range(RECONNECTS):
        watch = rpcs("WatchJob", job_id=job_id, after_seq=seen[-1] if seen else 0)
        for _ in range(MANY // RECONNECTS - 2):
            event = await watch.read()
            seen.append(getattr(event, event.WhichOneof("event")).seq)
        watch.cancel()
    rest = [told(event) async for event in rpcs("WatchJob", job_id=job_id, after_seq=seen[-1])]
    assert seen + [data["seq"] for kind, data in rest if kind != "end"] == list(range(1, MANY + 1))
    assert rest[-1] == ("end", {"state": "cancelled"})


async def test_watchers_that_leave_are_forgotten(both: Served, rpcs: Rpcs, parts: Parts) -> None:
    assert both
    job_id = await parts.submitted()
    watches = [rpcs("WatchJob", job_id=job_id) for _ in range(20)]
    await asyncio.gather(*(watch.read() for watch in watches))
    for watch in watches:
        watch.cancel()
    assert (await rpcs("CancelJob", job_id=job_id)).state == api_pb2.STATE_CANCELLED
    assert [told(event) async for event in rpcs("WatchJob", job_id=job_id)][-1][0] == "end"

"""The collector removes what attempts have left that came to nothing, and nothing else."""

from __future__ import annotations

import pytest

from services.kit import bus
from services.kit.artifacts import ArtifactKind
from services.kit.messages import Heartbeat, Task, TaskOutcome, WorkerState, now_at
from services.orchestrator.collector import ArtifactCollector
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.results import Verdict
from services.orchestrator.settings import JobsSettings
from tests.integration.parts import Parts, refs


@pytest.fixture
async def task(parts: Parts) -> Task:
    """A segment: it leaves an artifact."""
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.do(await parts.task(job_id))
    return (await parts.tasks(job_id))[0]


def leave(parts: Parts, task: Task, attempt_id: str, name: str = "half.parquet") -> str:
    key = f"{task.episode_uid}/{attempt_id}/{name}"
    parts.store.put_bytes(key, b"rows")
    return key


def collector(parts: Parts, after_s: float = 0) -> ArtifactCollector:
    return ArtifactCollector(parts.database, parts.store, JobsSettings(collect_after_s=after_s))


async def over(parts: Parts) -> None:
    """The workers' silence has lasted long enough."""
    await parts.rows("UPDATE tasks SET finished_at = finished_at - interval '1 minute'")
    async with parts.database.transaction() as tx:
        await tx.run("abandon_attempts", worker_expiry_s=bus.WORKER_EXPIRY_S)


async def test_files_of_a_fenced_attempt_go_and_those_of_the_accepted_stay(parts: Parts, task: Task) -> None:
    late, _ = await parts.claim(task)
    first, _ = await parts.claim(task)
    lost, kept = leave(parts, task, late), leave(parts, task, first)
    outputs = refs(task, [ArtifactKind.SEGMENT_DETECTIONS])
    for attempt_id in (first, late):
        await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED, outputs=outputs)
    await collector(parts, after_s=60).collect()
    assert parts.store.exists(lost)
    await collector(parts).collect()
    assert not parts.store.exists(lost)
    assert parts.store.exists(kept)


async def test_files_of_a_worker_that_was_never_heard_of_again_go(parts: Parts, task: Task) -> None:
    dead, _ = await parts.claim(task)
    lost = leave(parts, task, dead)
    half = parts.store.local_path(f"{task.episode_uid}/{dead}/half.parquet#1")
    assert half is not None
    half.write_bytes(b"half")  # as a killed writer leaves it; the store does not list it
    await parts.do(task)
    await over(parts)
    await collector(parts).collect()
    assert not parts.store.exists(lost)
    assert not half.exists()


async def test_files_of_an_attempt_in_work_stay_also_when_its_task_is_over(parts: Parts, task: Task) -> None:
    slow, _ = await parts.claim(task)
    kept = leave(parts, task, slow)
    beat = Heartbeat("a worker", "detect_track", WorkerState.BUSY, "cpu", "cpu", now_at(), task_id=task.task_id)
    await WorkerRegistry(parts.nc, parts.database).record(beat)
    await parts.do(task)
    await over(parts)
    await collector(parts).collect()
    assert parts.store.exists(kept)


async def test_files_of_an_attempt_at_a_live_task_stay(parts: Parts, task: Task) -> None:
    silent, _ = await parts.claim(task)
    kept = leave(parts, task, silent)
    await over(parts)
    await collector(parts).collect()
    assert parts.store.exists(kept)


async def test_an_abandoned_attempt_that_reports_after_all_is_fenced_and_collected_again(
    parts: Parts, task: Task
) -> None:
    late, _ = await parts.claim(task)
    await parts.do(task)
    await over(parts)
    await collector(parts).collect()
    lost = leave(parts, task, late, "late.parquet")
    assert await parts.report(task, late, TaskOutcome.SUCCEEDED) is Verdict.FENCED
    await collector(parts).collect()
    assert not parts.store.exists(lost)
    assert await collector(parts).collect() == 0

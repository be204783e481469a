"""Events for webhooks, written in the transaction of what they tell: neither is there without the other."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ulid import ULID

from services.orchestrator.database import Row, Transaction
from services.orchestrator.lifecycle import TERMINAL, State


class EventType(StrEnum):
    EPISODE_REGISTERED = "screenalytics.episode.registered"
    JOB_QUEUED = "screenalytics.job.queued"
    JOB_RUNNING = "screenalytics.job.running"
    JOB_SUCCEEDED = "screenalytics.job.succeeded"
    JOB_FAILED = "screenalytics.job.failed"
    JOB_CANCELLED = "screenalytics.job.cancelled"
    STAGE_RUN_SUCCEEDED = "screenalytics.stage_run.succeeded"
    STAGE_RUN_FAILED = "screenalytics.stage_run.failed"
    STAGE_RUN_CANCELLED = "screenalytics.stage_run.cancelled"
    STAGE_RUN_SKIPPED = "screenalytics.stage_run.skipped"
    TASK_DEAD = "screenalytics.task.dead"


async def announce_job(tx: Transaction, job_id: str, state: State) -> None:
    await _announce(tx, EventType(f"screenalytics.job.{state}"), f"jobs/{job_id}", job_id, {})


async def announce_run(tx: Transaction, run: Row, state: State, error_code: str | None) -> None:
    """Of a run that has ended; there is no event for the others."""
    if state in TERMINAL:
        kind = EventType(f"screenalytics.stage_run.{state}")
        more = {"run_id": run["run_id"], "stage": run["stage"], "state": state, "error_code": error_code}
        await _announce(tx, kind, f"jobs/{run['job_id']}/stages/{run['stage']}", run["job_id"], more)


async def announce_dead_task(tx: Transaction, run: Row, task_id: str, code: str) -> None:
    more = {"task_id": task_id, "run_id": run["run_id"], "stage": run["stage"], "error_code": code}
    await _announce(tx, EventType.TASK_DEAD, f"jobs/{run['job_id']}/dead-letters", run["job_id"], more)


async def announce_episode(tx: Transaction, episode: Row) -> None:
    await tx.run(
        "announce_of_episode",
        event_id=str(ULID()),
        type=EventType.EPISODE_REGISTERED,
        subject=f"episodes/{episode['ep_id']}",
        episode_uid=episode["episode_uid"],
    )


async def _announce(tx: Transaction, kind: EventType, subject: str, job_id: str, more: dict[str, Any]) -> None:
    await tx.run("announce_of_job", event_id=str(ULID()), type=kind, subject=subject, job_id=job_id, more=more)

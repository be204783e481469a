"""The moves of jobs and stage runs inside a transaction. The caller holds the locks: job first, then run."""

from __future__ import annotations

from collections.abc import Sequence

from ulid import ULID

from services.kit import bus, tracing
from services.kit.codec import encode, from_dict, to_dict
from services.kit.inference.placement import Provider
from services.kit.messages import (
    SCHEMA_VERSION,
    ArtifactRef,
    MediaInfo,
    MediaRef,
    ModelRef,
    Task,
    canonical_json,
)
from services.kit.stages import STAGES, Stage
from services.orchestrator.announcements import announce_dead_task, announce_job, announce_run
from services.orchestrator.database import Row, Transaction
from services.orchestrator.events import append_event
from services.orchestrator.lifecycle import ACTIVE, TERMINAL, State
from services.orchestrator.settings import JobsSettings
from services.orchestrator.taskgraph import NewTask
from services.orchestrator.throughput import count_end


async def move_job(tx: Transaction, job_id: str, state: State, *, error: tuple[str, str] | None = None) -> None:
    code, message = error or (None, None)
    await tx.run("move_job", job_id=job_id, state=state, error_code=code, error_message=message)
    payload = {"state": state, "reason": message or ""}
    await append_event(tx, job_id, "state", payload)
    await announce_job(tx, job_id, state)
    if state in TERMINAL:
        count_end(tx, state, code)


async def move_run(
    tx: Transaction,
    run: Row,
    state: State,
    *,
    error: tuple[str, str] | None = None,
    skip_reason: str | None = None,
    reason: str = "",
) -> None:
    """`reason` stands in the event alone, where there is neither an error nor a reason to skip."""
    code, message = error or (None, None)
    await tx.run(
        "move_run",
        run_id=run["run_id"],
        state=state,
        error_code=code,
        error_message=message,
        skip_reason=skip_reason,
    )
    payload = {"state": state, "reason": message or skip_reason or reason}
    await append_event(tx, run["job_id"], "state", payload, stage=run["stage"])
    await announce_run(tx, run, state, code)


async def fail_job(tx: Transaction, job: Row, run: Row, code: str, message: str) -> None:
    """Fails the run, cancels what waits for it, and fails the job."""
    await move_run(tx, run, State.FAILED, error=(code, message))
    for other in await tx.all("runs_of_job", job_id=job["job_id"]):
        if other["run_id"] != run["run_id"] and other["state"] in ACTIVE:
            await move_run(tx, other, State.CANCELLED)
    await tx.run("cancel_tasks", job_id=job["job_id"])
    await move_job(tx, job["job_id"], State.FAILED, error=(code, message))


async def bury_task(tx: Transaction, job: Row, run: Row, task_id: str, code: str, reason: str) -> None:
    """A dead task becomes a dead letter, and fails its job."""
    await tx.run("bury_task", task_id=task_id, reason=reason)
    await announce_dead_task(tx, run, task_id, code)
    await fail_job(tx, job, run, code, reason)


async def cancel_job(tx: Transaction, job: Row) -> None:
    await tx.run("request_cancel", job_id=job["job_id"])
    for run in await tx.all("runs_of_job", job_id=job["job_id"]):
        if run["state"] in ACTIVE:
            await move_run(tx, run, State.CANCELLED)
    await tx.run("cancel_tasks", job_id=job["job_id"])
    await move_job(tx, job["job_id"], State.CANCELLED)


async def inputs_for(tx: Transaction, episode_uid: str, stage: Stage) -> tuple[list[ArtifactRef], set[Stage]]:
    """(what the stage would read now, the stages whose output is missing for it, or no longer kept)."""
    wanted = set(STAGES[stage].inputs)
    if not wanted:
        return [], set()
    current = {row["stage"]: row for row in await tx.all("current_runs", episode_uid=episode_uid)}
    producers = {s for s in STAGES if wanted & set(STAGES[s].outputs)}
    run_ids = [current[s]["run_id"] for s in producers if s in current]
    rows = await tx.all("artifacts_of_runs", run_ids=run_ids) if run_ids else []
    refs = [artifact_ref(row) for row in rows if row["kind"] in wanted]
    removed = {Stage(row["stage"]) for row in rows if row["kind"] in wanted and row["removed_at"] is not None}
    return refs, {s for s in producers if s not in current} | removed


def artifact_ref(row: Row) -> ArtifactRef:
    return ArtifactRef(row["kind"], row["uri"], row["sha256"], row["size_bytes"], row["rows"])


async def add_tasks(
    tx: Transaction, job: Row, run: Row, episode: Row, tasks: Sequence[NewTask], limits: JobsSettings
) -> None:
    for new in tasks:
        task = _message(job, run, episode, new, limits)
        await tx.run(
            "insert_task",
            task_id=task.task_id,
            run_id=task.run_id,
            job_id=task.job_id,
            kind=task.kind,
            ordinal=task.ordinal,
            message=to_dict(task),
            max_attempts=limits.max_attempts,
            subject=bus.task_subject(task),
            payload=encode(task),
        )


def _message(job: Row, run: Row, episode: Row, new: NewTask, limits: JobsSettings) -> Task:
    info = episode["media_info"]
    return Task(
        schema_version=SCHEMA_VERSION,
        algorithm_version=run["algorithm_version"],
        job_id=job["job_id"],
        run_id=run["run_id"],
        task_id=str(ULID()),
        stage=run["stage"],
        kind=new.kind,
        ordinal=new.ordinal,
        provider=Provider(run["provider"]),
        requested_device=job["requested_device"],
        ep_id=episode["ep_id"],
        episode_uid=episode["episode_uid"],
        config_json=canonical_json(run["config"]),
        media=MediaRef(episode["media_uri"], episode["sha256"], episode["size_bytes"], episode["container"]),
        models=tuple(from_dict(ModelRef, m) for m in run["models"]),
        media_info=None if info is None else from_dict(MediaInfo, info),
        inputs=new.inputs,
        segment=new.segment,
        stall_s=limits.stall_s,
        max_runtime_s=limits.max_runtime_s,
        traceparent=tracing.traceparent(),
    )

"""Gathers what the question why a job is as it is depends on."""

from __future__ import annotations

from collections.abc import Sequence

from services.kit import bus
from services.kit.errors import NotFound
from services.orchestrator.database import Database, Row
from services.orchestrator.job_facts import AttemptFacts, JobFacts, TaskFacts, WorkerFacts
from services.orchestrator.job_view import job_shown
from services.orchestrator.lifecycle import ACTIVE, State
from services.orchestrator.settings import JobsSettings
from services.orchestrator.why import Why, why


class Inquiry:
    def __init__(self, database: Database, limits: JobsSettings) -> None:
        self._database = database
        self._limits = limits

    async def why(self, job_id: str) -> Why:
        """Raises `NotFound`."""
        return why(await self._facts(job_id))

    async def _facts(self, job_id: str) -> JobFacts:
        async with self._database.transaction() as tx:
            found = await tx.all("job_with_runs", job_id=job_id)
            if not found:
                raise NotFound(f"no job {job_id!r}")
            run = _deciding_run(found[0])
            of_run, route = {"run_id": run["run_id"]}, {"stage": run["stage"], "provider": run["provider"]}
            tasks, queues = await tx.together(
                ("open_tasks", of_run),
                ("queue_of_run", {**route, **of_run, "job_id": job_id, "expiry_s": bus.WORKER_EXPIRY_S}),
            )
        return _job_facts(found[0], run, tasks, queues[0], self._limits)


def _deciding_run(job: Row) -> Row:
    """The run that `JobFacts` is about."""
    runs: Sequence[Row] = job["runs"]
    state = State(job["state"])
    if state in ACTIVE:
        begun = [r for r in runs if r["state"] in (State.QUEUED, State.RUNNING)]
        return (begun or [r for r in runs if r["state"] == State.WAITING])[0]
    return [r for r in runs if r["state"] == state][-1 if state is State.SUCCEEDED else 0]


def _job_facts(job: Row, run: Row, tasks: list[Row], queue: Row, limits: JobsSettings) -> JobFacts:
    shown = job_shown(job)
    of_run = next(stage for stage in shown["stages"] if stage["run_id"] == run["run_id"])
    took = job["finished_at"] - job["started_at"] if job["finished_at"] and job["started_at"] else None
    empty = [r["stage"] for r in job["runs"] if r["zero_rows"]]
    return JobFacts(
        job_id=job["job_id"],
        ep_id=job["ep_id"],
        state=State(job["state"]),
        stage=run["stage"],
        provider=run["provider"],
        error_code=job["error_code"] or "",
        error=job["error_message"] or "",
        reused=shown["reused"],
        empty_stage=empty[0] if empty else "",
        runtime_s=None if took is None else took.total_seconds(),
        tasks_done=of_run["tasks_done"],
        tasks_total=of_run["tasks_total"],
        open_tasks=[_task_facts(task) for task in tasks],
        ahead=queue["ahead"],
        workers=[WorkerFacts(worker["state"], worker["reason"] or "") for worker in queue["workers"]],
        queue_timeout_s=limits.queue_timeout_s,
        progress=of_run["progress"],
    )


def _task_facts(task: Row) -> TaskFacts:
    attempt = None
    if task["attempt_state"] is not None:
        attempt = AttemptFacts(
            state=task["attempt_state"],
            generation=task["generation"],
            worker_id=task["worker_id"],
            silent_s=task["silent_s"],
            error=task["error_message"] or "",
        )
    return TaskFacts(
        kind=task["kind"],
        ordinal=task["ordinal"],
        attempts=task["attempts"],
        max_attempts=task["max_attempts"],
        unsent_s=task["unsent_s"],
        attempt=attempt,
    )

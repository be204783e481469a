"""Consumes results: the locks, the guard, and everything that follows from an accepted one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from enum import StrEnum

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from prometheus_client import Counter

from services.kit import bus
from services.kit.codec import decode, to_dict
from services.kit.errors import InvalidRequest, StageFailed, SystemUnavailable
from services.kit.messages import TaskOutcome, TaskResult
from services.kit.stages import STAGES, Stage, TaskKind
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.settings import JobsSettings
from services.orchestrator.taskgraph import TaskState, is_complete, next_tasks
from services.orchestrator.transitions import (
    add_tasks,
    artifact_ref,
    fail_job,
    move_job,
    move_run,
    start_run,
)

log = logging.getLogger(__name__)

FENCED = Counter("screenalytics_fenced_results", "Results of attempts that no longer counted.", ["stage"])

_FETCH_S = 5.0
_RETRY_S = 1.0


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    FENCED = "fenced"


class ResultConsumer:
    def __init__(self, nc: Client, database: Database, limits: JobsSettings) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._limits = limits

    async def run(self) -> None:
        queue = await self._js.pull_subscribe_bind(consumer=bus.RESULTS_CONSUMER, stream=bus.RESULTS_STREAM)
        while True:
            try:
                messages = await queue.fetch(10, timeout=_FETCH_S)
            except (NatsTimeout, TimeoutError):
                continue
            except NatsError as error:
                log.debug("results: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            for message in messages:
                await self._consume(message)

    async def _consume(self, message: Msg) -> None:
        """Acknowledges once the outcome is committed; without Postgres the broker keeps the result."""
        try:
            result = decode(TaskResult, message.data)
            verdict = await self.apply(result)
            log.info("result of %s, attempt %s: %s", result.task_id, result.attempt_id, verdict)
        except InvalidRequest as error:
            log.error("dropped an unreadable result: %s", error)
        except SystemUnavailable as error:
            log.warning("a result waits: %s", error)
            with suppress(NatsError):
                await message.nak(delay=_RETRY_S)
            return
        with suppress(NatsError):
            await message.ack()

    async def apply(self, result: TaskResult) -> Verdict:
        """What a worker sends is data: a result that cannot be stored fails its task, not this consumer."""
        try:
            return await self._apply(result)
        except (psycopg.IntegrityError, InvalidRequest) as error:
            log.error("result of %s cannot be stored: %s", result.task_id, error)
            return await self._apply(_unstorable(result, error))

    async def _apply(self, result: TaskResult) -> Verdict:
        """Locks job, then stage run, then decides by guarded updates alone."""
        async with self._database.transaction() as tx:
            job = await tx.one("lock_job", job_id=result.job_id)
            run = await tx.one("lock_run", run_id=result.run_id)
            attempt = await tx.one("get_attempt", attempt_id=result.attempt_id)
            if job is None or run is None or attempt is None:
                FENCED.labels("unknown").inc()
                return Verdict.FENCED
            if attempt["state"] != "open":
                return Verdict.DUPLICATE
            accepted = State(job["state"]) not in TERMINAL and await self._apply_open(tx, job, run, result)
            await _close_attempt(tx, result, accepted=accepted)
        if not accepted and result.outcome is not TaskOutcome.HANDED_BACK:
            FENCED.labels(run["stage"]).inc()
        return Verdict.ACCEPTED if accepted else Verdict.FENCED

    async def _apply_open(self, tx: Transaction, job: Row, run: Row, result: TaskResult) -> bool:
        match result.outcome:
            case TaskOutcome.SUCCEEDED:
                return await self._succeed(tx, job, run, result)
            case TaskOutcome.REJECTED:
                return await _reject(tx, job, run, result)
            case TaskOutcome.RETRY:
                return await _retry(tx, job, run, result)
            case TaskOutcome.HANDED_BACK:
                return await tx.one("give_attempt_back", task_id=result.task_id) is not None

    async def _succeed(self, tx: Transaction, job: Row, run: Row, result: TaskResult) -> bool:
        if not await tx.one("finish_task_if_live", task_id=result.task_id, counts=dict(result.counts)):
            return False
        await _record(tx, run, result)
        episode = await tx.one("current_episode", ep_id=job["ep_id"])
        task = await tx.one("get_task", task_id=result.task_id)
        rows = await tx.all("tasks_of_run", run_id=run["run_id"])
        if task is None or episode is None or episode["episode_uid"] != run["episode_uid"]:
            await fail_job(tx, job, run, "conflict", "the episode was replaced while the job ran")
            return True
        tasks = [TaskState(TaskKind(r["kind"]), r["ordinal"], r["state"] == "done") for r in rows]
        outputs = [artifact_ref(a) for a in await tx.all("artifacts_of_run", run_id=run["run_id"])]
        following = next_tasks(TaskKind(task["kind"]), result, tasks, outputs)
        await add_tasks(tx, job, run, episode, following, self._limits)
        if is_complete(tasks):
            await self._complete(tx, job, run, episode, rows)
        return True

    async def _complete(self, tx: Transaction, job: Row, run: Row, episode: Row, tasks: list[Row]) -> None:
        """The run is done: the next one starts, or the job ends."""
        counts = _summed([task["counts"] for task in tasks])
        is_empty = counts.get(STAGES[Stage(run["stage"])].zero_rows_count, 0) == 0
        await tx.run("record_run_outcome", run_id=run["run_id"], counts=counts, zero_rows=is_empty)
        await move_run(tx, run, State.SUCCEEDED)
        later = [
            r
            for r in await tx.all("runs_of_job", job_id=job["job_id"])
            if r["position"] > run["position"] and r["state"] == State.WAITING
        ]
        if later and not is_empty:
            await start_run(tx, job, later[0], episode, self._limits)
            return
        for other in later:
            await move_run(tx, other, State.SKIPPED, skip_reason="zero_rows")
        await move_job(tx, job["job_id"], State.SUCCEEDED)


def _unstorable(result: TaskResult, error: Exception) -> TaskResult:
    return TaskResult(
        job_id=result.job_id,
        run_id=result.run_id,
        task_id=result.task_id,
        attempt_id=result.attempt_id,
        worker_id=result.worker_id,
        outcome=TaskOutcome.REJECTED,
        error_code=StageFailed.code,
        error_message=f"its result cannot be stored: {error}".replace("\0", ""),
    )


async def _record(tx: Transaction, run: Row, result: TaskResult) -> None:
    for ref in result.outputs:
        await tx.run(
            "insert_artifact",
            run_id=run["run_id"],
            task_id=result.task_id,
            attempt_id=result.attempt_id,
            **to_dict(ref),
        )
    executions = [] if result.execution is None else [to_dict(result.execution)]
    await tx.run(
        "append_execution",
        run_id=run["run_id"],
        execution=tuple(executions),
        warnings=tuple(result.warnings),
    )
    if result.media_info is not None:
        await tx.run("set_media_info", episode_uid=run["episode_uid"], media_info=to_dict(result.media_info))


async def _reject(tx: Transaction, job: Row, run: Row, result: TaskResult) -> bool:
    if not await tx.one("kill_task_if_newest", task_id=result.task_id, attempt_id=result.attempt_id):
        return False
    await fail_job(tx, job, run, result.error_code, result.error_message)
    return True


async def _retry(tx: Transaction, job: Row, run: Row, result: TaskResult) -> bool:
    task = await tx.one("get_task", task_id=result.task_id)
    if task is None or task["state"] != "live" or task["attempt_id"] != result.attempt_id:
        return False
    if await tx.one("kill_task_if_spent", task_id=result.task_id):
        message = f"{run['stage']} failed {task['attempts']} times: {result.error_message}"
        await fail_job(tx, job, run, "stage-failed", message)
    return True


async def _close_attempt(tx: Transaction, result: TaskResult, *, accepted: bool) -> None:
    await tx.run(
        "close_attempt",
        attempt_id=result.attempt_id,
        state=result.outcome if accepted else "fenced",
        error_message=result.error_message or None,
        log_tail=tuple(result.log_tail),
    )


def _summed(counts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total

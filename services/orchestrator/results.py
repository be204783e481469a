"""Consumes results: the locks, the guard, and everything that follows from an accepted one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from prometheus_client import Counter

from services.kit import bus, tracing
from services.kit.codec import decode, encode, from_dict, to_dict
from services.kit.errors import InvalidRequest, StageFailed, SystemUnavailable
from services.kit.logs import logs_about
from services.kit.messages import ArtifactRef, Task, TaskOutcome, TaskResult
from services.kit.object_store import ObjectStore
from services.kit.stages import TaskKind
from services.kit.tracing import SpanKind
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.earlier_runs import EarlierRuns
from services.orchestrator.endings import handing_back
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.pipeline import Pipeline
from services.orchestrator.settings import JobsSettings
from services.orchestrator.taskgraph import TaskState, is_complete, next_tasks
from services.orchestrator.transitions import add_tasks, artifact_ref, bury_task, fail_job

log = logging.getLogger(__name__)

FENCED = Counter("screenalytics_fenced_results", "Results of attempts that no longer counted.", ["stage"])

_UNSETTLED = ("open", "abandoned")
_FETCH_S = 5.0
_RETRY_S = 1.0


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a result meets, read under the locks. `is_finished`: the guard let this success finish its task."""

    job: Row
    run: Row
    attempt: Row
    is_finished: bool
    task: Row
    tasks: list[Row]
    artifacts: list[Row]
    episode: Row | None

    def outputs_with(self, result: TaskResult) -> list[ArtifactRef]:
        """Those of all finished tasks, the result's among them, by kind and the ordinal of their task."""
        numbered = [(row["kind"], row["ordinal"], artifact_ref(row)) for row in self.artifacts]
        numbered += [(ref.kind, self.task["ordinal"], ref) for ref in result.outputs]
        return [ref for _, _, ref in sorted(numbered, key=lambda entry: entry[:2])]


async def _look(tx: Transaction, result: TaskResult) -> _Seen | None:
    """Takes the locks, tries the guard, and reads what may be needed, for one round trip."""
    run, task = {"run_id": result.run_id}, {"task_id": result.task_id}
    attempt = {"attempt_id": result.attempt_id}
    is_success = result.outcome is TaskOutcome.SUCCEEDED
    finish = {**task, **attempt, "counts": dict(result.counts), "is_success": is_success}
    jobs, runs, attempts, finished, tasks, siblings, artifacts, episodes = await tx.together(
        ("lock_job", {"job_id": result.job_id}),
        ("lock_run", run),
        ("get_attempt", attempt),
        ("finish_task_if_live", finish),
        ("get_task", task),
        ("tasks_of_run", run),
        ("artifacts_of_run", run),
        ("current_episode_of_job", {"job_id": result.job_id}),
    )
    if not (jobs and runs and attempts and tasks):
        return None
    episode = episodes[0] if episodes else None
    return _Seen(jobs[0], runs[0], attempts[0], bool(finished), tasks[0], siblings, artifacts, episode)


class ResultConsumer:
    def __init__(self, nc: Client, database: Database, limits: JobsSettings, store: ObjectStore) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._limits = limits
        self._pipeline = Pipeline(limits, EarlierRuns(store))

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
            async with handing_back(messages) as left:
                while left:
                    await self._consume(left[0])
                    left.popleft()

    async def _consume(self, message: Msg) -> None:
        """Acknowledges once the outcome is committed; without Postgres the broker keeps the result."""
        try:
            await self._judge(decode(TaskResult, message.data), message.headers)
        except InvalidRequest as error:
            log.error("dropped an unreadable result: %s", error)
        except SystemUnavailable as error:
            log.warning("a result waits: %s", error)
            with suppress(NatsError):
                await message.nak(delay=_RETRY_S)
            return
        with suppress(NatsError):
            await message.ack()

    async def _judge(self, result: TaskResult, headers: dict[str, str] | None) -> None:
        """In the trace of the attempt, which the tasks that follow go on with."""
        ids = {"job_id": result.job_id, "task_id": result.task_id, "attempt_id": result.attempt_id}
        name, attributes = tracing.messaging("process", bus.result_subject("{job_id}"), **ids)
        with logs_about(**ids), tracing.span(name, attributes, kind=SpanKind.CONSUMER, carrier=headers):
            verdict = await self.apply(result)
            tracing.note(outcome=result.outcome, verdict=verdict)
            log.info("result of %s, attempt %s: %s", result.task_id, result.attempt_id, verdict)

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
            seen = await _look(tx, result)
            if seen is None:
                await tx.run("close_erased_attempt", attempt_id=result.attempt_id)
                return _fenced("unknown", result)
            if seen.attempt["state"] not in _UNSETTLED:
                return Verdict.DUPLICATE
            accepted = State(seen.job["state"]) not in TERMINAL and await self._apply_open(tx, seen, result)
            await _close_attempt(tx, result, accepted=accepted)
        return Verdict.ACCEPTED if accepted else _fenced(seen.run["stage"], result)

    async def _apply_open(self, tx: Transaction, seen: _Seen, result: TaskResult) -> bool:
        match result.outcome:
            case TaskOutcome.SUCCEEDED:
                return await self._succeed(tx, seen, result)
            case TaskOutcome.REJECTED:
                return await _reject(tx, seen, result)
            case TaskOutcome.RETRY:
                return await _retry(tx, seen, result)
            case TaskOutcome.HANDED_BACK:
                return await _take_back(tx, seen, result)

    async def _succeed(self, tx: Transaction, seen: _Seen, result: TaskResult) -> bool:
        if not seen.is_finished:
            return False
        job, run, episode = seen.job, seen.run, seen.episode
        await _record(tx, run, result)
        if episode is None:
            await fail_job(tx, job, run, "conflict", "the episode was replaced while the job ran")
            return True
        if result.media_info is not None:
            episode = {**episode, "media_info": to_dict(result.media_info)}
        tasks = [TaskState(TaskKind(r["kind"]), r["ordinal"], r["state"] == "done") for r in seen.tasks]
        following = next_tasks(TaskKind(seen.task["kind"]), result, tasks, seen.outputs_with(result))
        await add_tasks(tx, job, run, episode, following, self._limits)
        if is_complete(tasks):
            counts = _summed([task["counts"] for task in seen.tasks])
            await self._pipeline.complete(tx, job, run, episode, counts)
        return True


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


async def _reject(tx: Transaction, seen: _Seen, result: TaskResult) -> bool:
    if not await tx.one("kill_task_if_newest", task_id=result.task_id, attempt_id=result.attempt_id):
        return False
    await _close_attempt(tx, result, accepted=True)
    await bury_task(tx, seen.job, seen.run, result.task_id, result.error_code, result.error_message)
    return True


async def _retry(tx: Transaction, seen: _Seen, result: TaskResult) -> bool:
    task = seen.task
    if task["state"] != "live" or task["attempt_id"] != result.attempt_id:
        return False
    if await tx.one("kill_task_if_spent", task_id=result.task_id):
        message = f"{seen.run['stage']} failed {task['attempts']} times: {result.error_message}"
        await _close_attempt(tx, result, accepted=True)
        await bury_task(tx, seen.job, seen.run, result.task_id, StageFailed.code, message)
    return True


async def _take_back(tx: Transaction, seen: _Seen, result: TaskResult) -> bool:
    """A drained worker has let go of the task, so it is published anew; while it is still there, once."""
    if await tx.one("give_attempt_back", task_id=result.task_id) is None:
        return False
    task = from_dict(Task, seen.task["message"])
    await tx.run("put_outbox", subject=bus.task_subject(task), payload=encode(task))
    return True


def _fenced(stage: str, result: TaskResult) -> Verdict:
    if result.outcome is not TaskOutcome.HANDED_BACK:
        FENCED.labels(stage).inc()
    return Verdict.FENCED


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

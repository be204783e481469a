"""Answers claims: whether a worker may run the task it holds, and as which generation."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from services.kit import bus, tracing
from services.kit.codec import decode, encode
from services.kit.errors import InvalidRequest, StageFailed, SystemUnavailable
from services.kit.logs import logs_about
from services.kit.messages import ClaimReply, ClaimRequest, Decision
from services.kit.stages import TaskKind
from services.kit.tracing import SpanKind
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.events import append_event
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.throughput import count_start
from services.orchestrator.transitions import bury_task, move_job, move_run

log = logging.getLogger(__name__)

# How the attempt before ended, by its state.
_ENDINGS = {
    "open": "fell silent or died without a word",
    "retry": "failed",
    "handed_back": "was handed back by a worker that stopped",
    "abandoned": "fell silent or died without a word",
}


class ClaimDesk:
    """Without an answer a worker waits, so a failure here is answered by silence."""

    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._answering: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        self._subscription = await self._nc.subscribe(bus.CLAIM, queue=bus.CLAIM_GROUP, cb=self._on_claim)

    async def stop(self) -> None:
        """Answers what has come; what comes from now on goes to another replica.

        A worker would wait `CLAIM_TIMEOUT_S` for the answer of a replica that took its claim and ended.
        """
        with suppress(NatsError, TimeoutError):
            async with asyncio.timeout(bus.CLAIM_TIMEOUT_S):
                if self._subscription is not None:
                    await self._subscription.drain()  # type: ignore[no-untyped-call]
                while self._answering:
                    await asyncio.wait(self._answering)
                await self._nc.flush()

    async def _on_claim(self, message: Msg) -> None:
        """Apart from the subscription, which would have every worker wait for the one before it."""
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            request = decode(ClaimRequest, message.data)
            ids = {"task_id": request.task_id, "attempt_id": request.attempt_id}
            name, attributes = tracing.messaging("process", bus.CLAIM, **ids)
            with (
                logs_about(**ids),
                tracing.span(name, attributes, kind=SpanKind.CONSUMER, carrier=message.headers),
            ):
                reply = await self.claim(request)
                await message.respond(encode(reply))
        except (SystemUnavailable, InvalidRequest, NatsError) as error:
            log.warning("a claim gets no answer: %s", error)

    async def claim(self, request: ClaimRequest) -> ClaimReply:
        asked = {"task_id": request.task_id}
        async with self._database.transaction() as tx:
            jobs, runs, tasks, attempts = await tx.together(
                ("lock_job_of_task", asked),
                ("lock_run_of_task", asked),
                ("get_task", asked),
                ("get_attempt", {"attempt_id": request.attempt_id}),
            )
            if not (jobs and runs and tasks):
                return ClaimReply(Decision.DROP, reason="no such task")
            job, run, task = jobs[0], runs[0], tasks[0]
            if State(job["state"]) in TERMINAL or State(run["state"]) in TERMINAL:
                return ClaimReply(Decision.DROP, reason=f"the job is {job['state']}")
            if task["state"] != "live":
                return ClaimReply(Decision.DROP, reason="the task is done")
            if attempts:
                return ClaimReply(Decision.RUN, attempts[0]["generation"])
            if task["attempts"] >= task["max_attempts"]:
                return await self._spent(tx, job, run, task)
            return await _claim_locked(tx, request, job, run, task)

    async def _spent(self, tx: Transaction, job: Row, run: Row, task: Row) -> ClaimReply:
        """Its attempts are used up: a dead letter, unless one of them may still come to something."""
        if await tx.one("attempt_in_work", task_id=task["task_id"], worker_expiry_s=bus.WORKER_EXPIRY_S):
            return ClaimReply(Decision.WAIT, reason="its last attempt is in work")
        if await self._has_unread_results(job["job_id"]):
            return ClaimReply(Decision.WAIT, reason="a result of its job is not read yet")
        if not await tx.one("kill_task_if_spent", task_id=task["task_id"]):
            return ClaimReply(Decision.DROP, reason="the task is done")
        last = await tx.one("last_words", task_id=task["task_id"])
        reason = last["error_message"] if last else "its workers died without a word"
        message = f"{run['stage']} used up its {task['attempts']} attempts: {reason}"
        await bury_task(tx, job, run, task["task_id"], StageFailed.code, message)
        return ClaimReply(Decision.DEAD, reason="its attempts are used up")

    async def _has_unread_results(self, job_id: str) -> bool:
        """Such as an attempt handed back, which does not count, or a success."""
        try:
            info = await self._js.stream_info(bus.RESULTS_STREAM, subjects_filter=bus.result_subject(job_id))
        except NatsError as error:
            log.info("results of job %s cannot be looked for: %s", job_id, error)
            return True
        return bool(info.state.subjects)


async def _claim_locked(tx: Transaction, request: ClaimRequest, job: Row, run: Row, task: Row) -> ClaimReply:
    if run["state"] == State.QUEUED:
        await move_run(tx, run, State.RUNNING)
    if job["state"] == State.QUEUED:
        await move_job(tx, job["job_id"], State.RUNNING)
        count_start(tx, job["age_s"])
    if task["generation"] > 0:
        await _say_again(tx, request, run, task)
    claimed = await tx.last(
        "claim_task_if_live",
        task_id=request.task_id,
        attempt_id=request.attempt_id,
        worker_id=request.worker_id,
    )
    if claimed is None:
        return ClaimReply(Decision.WAIT, reason="the task was claimed at the same time")
    return ClaimReply(Decision.RUN, claimed["generation"])


async def _say_again(tx: Transaction, request: ClaimRequest, run: Row, task: Row) -> None:
    """A crashed worker cannot say that it has crashed, so the job's log hears of the attempt that follows."""
    generation = task["generation"] + 1
    kind = f"segment {task['ordinal']}" if task["kind"] == TaskKind.SEGMENT else task["kind"]
    before = await tx.one("attempt_before", task_id=request.task_id, generation=generation)
    ending = _ENDINGS.get(before["state"], "did not count") if before else "is not known"
    who = f" on {before['worker_id']}" if before else ""
    payload = {
        "level": "warning",
        "message": f"attempt {generation} of {kind} begins on {request.worker_id}: "
        f"the one before{who} {ending}",
        "is_noisy": False,
    }
    await append_event(tx, run["job_id"], "log", payload, stage=run["stage"])

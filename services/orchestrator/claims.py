"""Answers claims: whether a worker may run the task it holds, and as which generation."""

from __future__ import annotations

import logging

from nats.aio.client import Client
from nats.aio.msg import Msg

from services.kit import bus
from services.kit.codec import decode, encode
from services.kit.errors import InvalidRequest, SystemUnavailable
from services.kit.messages import ClaimReply, ClaimRequest, Decision
from services.orchestrator.database import Database, Row, Transaction
from services.orchestrator.events import append_event
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.transitions import fail_job, move_job, move_run

log = logging.getLogger(__name__)

# How the attempt before ended, by its state.
_ENDINGS = {
    "open": "fell silent or died without a word",
    "retry": "failed",
    "handed_back": "was handed back by a worker that stopped",
}


class ClaimDesk:
    """Without an answer a worker waits, so a failure here is answered by silence."""

    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._database = database

    async def start(self) -> None:
        await self._nc.subscribe(bus.CLAIM, queue=bus.CLAIM_GROUP, cb=self._answer)

    async def _answer(self, message: Msg) -> None:
        try:
            reply = await self.claim(decode(ClaimRequest, message.data))
        except (SystemUnavailable, InvalidRequest) as error:
            log.warning("a claim gets no answer: %s", error)
            return
        await message.respond(encode(reply))

    async def claim(self, request: ClaimRequest) -> ClaimReply:
        async with self._database.transaction() as tx:
            task = await tx.one("get_task", task_id=request.task_id)
            if task is None:
                return ClaimReply(Decision.DROP, reason="no such task")
            job = await tx.one("lock_job", job_id=task["job_id"])
            run = await tx.one("lock_run", run_id=task["run_id"])
            assert job is not None
            assert run is not None
            return await _claim_locked(tx, request, job, run)


async def _claim_locked(tx: Transaction, request: ClaimRequest, job: Row, run: Row) -> ClaimReply:
    if State(job["state"]) in TERMINAL or State(run["state"]) in TERMINAL:
        return ClaimReply(Decision.DROP, reason=f"the job is {job['state']}")
    known = await tx.one("get_attempt", attempt_id=request.attempt_id)
    if known is not None:
        return ClaimReply(Decision.RUN, known["generation"])
    claimed = await tx.one("claim_task_if_live", task_id=request.task_id, attempt_id=request.attempt_id)
    if claimed is None:
        return await _refused(tx, request.task_id, job, run)
    await tx.run(
        "insert_attempt",
        attempt_id=request.attempt_id,
        task_id=request.task_id,
        job_id=job["job_id"],
        generation=claimed["generation"],
        worker_id=request.worker_id,
    )
    if claimed["generation"] > 1:
        await _say_again(tx, request, run, claimed["generation"])
    await _mark_running(tx, job, run)
    return ClaimReply(Decision.RUN, claimed["generation"])


async def _say_again(tx: Transaction, request: ClaimRequest, run: Row, generation: int) -> None:
    """A crashed worker cannot say that it has crashed, so the job's log hears of the attempt that follows."""
    before = await tx.one("attempt_before", task_id=request.task_id, generation=generation)
    ending = _ENDINGS.get(before["state"], "did not count") if before else "is not known"
    who = f" on {before['worker_id']}" if before else ""
    payload = {
        "level": "warning",
        "message": f"attempt {generation} begins on {request.worker_id}: the one before{who} {ending}",
        "is_noisy": False,
    }
    await append_event(tx, run["job_id"], "log", payload, stage=run["stage"])


async def _mark_running(tx: Transaction, job: Row, run: Row) -> None:
    if run["state"] == State.QUEUED:
        await move_run(tx, run, State.RUNNING)
    if job["state"] == State.QUEUED:
        await move_job(tx, job["job_id"], State.RUNNING)


async def _refused(tx: Transaction, task_id: str, job: Row, run: Row) -> ClaimReply:
    """A live task that cannot be claimed has used up its attempts; it becomes a dead letter."""
    if not await tx.one("kill_task_if_spent", task_id=task_id):
        return ClaimReply(Decision.DROP, reason="the task is done")
    last = await tx.one("last_words", task_id=task_id)
    reason = last["error_message"] if last else "its workers died without a word"
    await fail_job(tx, job, run, "stage-failed", f"{run['stage']} used up its attempts: {reason}")
    return ClaimReply(Decision.DEAD, reason="its attempts are used up")

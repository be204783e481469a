"""Publishes what transactions have written to the outbox, in order, at least once."""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from services.kit import bus, tracing
from services.kit.codec import decode
from services.kit.errors import StageFailed, SystemUnavailable
from services.kit.messages import Task
from services.kit.tracing import SpanKind
from services.orchestrator.database import Database, Row
from services.orchestrator.lifecycle import TERMINAL, State
from services.orchestrator.transitions import bury_task

log = logging.getLogger(__name__)

_BATCH = 100
_POLL_S = 5.0  # for notifications that were lost with their connection
_RETRY_S = 0.5


class OutboxRelay:
    """Several may run at once: rows in work are locked, and a task's subject takes one message."""

    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._database = database
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                sent = await self._relay_batch()
            except (SystemUnavailable, NatsError) as error:
                log.debug("relay: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            if sent < _BATCH:
                await wait_for_wake(self._wake, _POLL_S)

    async def _relay_batch(self) -> int:
        """The number of rows that are done with. Raises `NatsError` when some could not be sent."""
        failed: NatsError | None = None
        async with self._database.transaction() as tx:
            sent, too_large = [], []
            for row in await tx.all("take_outbox", limit=_BATCH):
                try:
                    await _send(self._js, row["subject"], bytes(row["payload"]))
                    sent.append(row["outbox_id"])
                except MaxPayloadError:
                    too_large.append(row)  # what can be sent must not wait behind it
                except NatsError as error:
                    failed = error
                    break
            if sent:
                await tx.run("mark_sent", outbox_ids=sent)
        for row in too_large:
            await self._give_up(row)
        if failed is not None:
            raise failed
        return len(sent) + len(too_large)

    async def _give_up(self, row: Row) -> None:
        """A task that no message can hold fails its job, which would wait for ever."""
        task, size = decode(Task, bytes(row["payload"])), len(row["payload"])
        log.error("a message to %s is too large to send: %d bytes", row["subject"], size)
        async with self._database.transaction() as tx:
            job = await tx.one("lock_job", job_id=task.job_id)
            run = await tx.one("lock_run", run_id=task.run_id)
            if job and run and State(job["state"]) not in TERMINAL and State(run["state"]) not in TERMINAL:
                reason = (
                    f"a task of {task.stage} takes {size} bytes, and NATS no more than {self._nc.max_payload}: "
                    "raise its max_payload, and resume the job"
                )
                await bury_task(tx, job, run, task.task_id, StageFailed.code, reason)
            await tx.run("mark_sent", outbox_ids=[row["outbox_id"]])


async def _send(js: JetStreamContext, subject: str, payload: bytes) -> None:
    """In the trace of what made the task, which is only looked for where spans are exported."""
    if not tracing.is_on():
        await publish_once(js, subject, payload)
        return
    task = decode(Task, payload)
    template = bus.task_subject_template(task.stage, task.provider)
    name, attributes = tracing.messaging("send", template, job_id=task.job_id, task_id=task.task_id)
    carrier = {tracing.TRACEPARENT: task.traceparent}
    with tracing.span(name, attributes, kind=SpanKind.PRODUCER, carrier=carrier):
        await publish_once(js, subject, payload, headers=tracing.headers())


async def publish_once(
    js: JetStreamContext, subject: str, payload: bytes, *, headers: dict[str, str] | None = None
) -> bool:
    """Whether it was not there yet; what still is counts as sent. Raises `NatsError` for everything else."""
    try:
        await js.publish(subject, payload, headers=headers)
    except APIError as error:
        if error.err_code != bus.MAX_MSGS_PER_SUBJECT_ERROR:
            raise
        return False
    return True


async def wait_for_wake(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return

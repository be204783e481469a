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
from services.kit.errors import SystemUnavailable
from services.kit.messages import Task
from services.kit.tracing import SpanKind
from services.orchestrator.database import Database

log = logging.getLogger(__name__)

_BATCH = 100
_POLL_S = 5.0  # for notifications that were lost with their connection
_RETRY_S = 0.5


class OutboxRelay:
    """Several may run at once: rows in work are locked, and a task's subject takes one message."""

    def __init__(self, nc: Client, database: Database) -> None:
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
        """The number of rows that were sent. Raises `NatsError` when some could not be."""
        failed: NatsError | None = None
        async with self._database.transaction() as tx:
            sent = []
            for row in await tx.all("take_outbox", limit=_BATCH):
                try:
                    await _send(self._js, row["subject"], bytes(row["payload"]))
                    sent.append(row["outbox_id"])
                except MaxPayloadError as error:
                    log.error("a message to %s is too large to send", row["subject"])
                    failed = error  # what can be sent must not wait behind it
                except NatsError as error:
                    failed = error
                    break
            if sent:
                await tx.run("mark_sent", outbox_ids=sent)
        if failed is not None:
            raise failed
        return len(sent)


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

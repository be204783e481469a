"""The worker loop: fetch one task, claim it, have it worked on (`attempt_runner.py`), and go on to the next.

Delivery is at least once, so nothing here decides what counts: the orchestrator's claim says whether to
run, and its guard on results decides which attempt wins. A task is acknowledged only after its result is
stored, so a worker that dies anywhere loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from time import monotonic

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from ulid import ULID

from services.kit import bus, tracing
from services.kit.attempt import handed_back
from services.kit.attempt_runner import AttemptRunner
from services.kit.codec import decode
from services.kit.delivery import Delivery, claim, fetch_one, hand_back
from services.kit.drain import Drain
from services.kit.errors import InvalidRequest, ScreenalyticsError
from services.kit.inference.pool import ModelPool
from services.kit.logs import logs_about
from services.kit.messages import SCHEMA_VERSION, Control, Decision, Task, WorkerState
from services.kit.object_store import ObjectStore
from services.kit.presence import Presence
from services.kit.stages import STAGES, StageHandler
from services.kit.telemetry import WorkerMetrics
from services.kit.tracing import SpanKind

log = logging.getLogger(__name__)

_MISMATCH_DELAY_S = 5.0
_WAIT_DELAY_S = 2.0


class Worker:
    def __init__(
        self,
        nc: Client,
        *,
        handler: StageHandler,
        pool: ModelPool,
        store: ObjectStore,
        scratch_dir: Path,
        thread_cap: int,
        thread_cap_is_explicit: bool,
        metrics: WorkerMetrics,
        drain_grace_s: float,
        presence: Presence,
    ) -> None:
        self._nc = nc
        self._js: JetStreamContext = nc.jetstream()
        self._handler = handler
        self._pool = pool
        self._presence = presence
        self._drain = Drain(drain_grace_s)
        self._runner = AttemptRunner(
            handler=handler,
            pool=pool,
            store=store,
            scratch_dir=scratch_dir,
            thread_cap=thread_cap,
            thread_cap_is_explicit=thread_cap_is_explicit,
            metrics=metrics,
            presence=presence,
            drain=self._drain,
            send=self._send,
            on_turn=self._turned,
        )
        self._looped_at = monotonic()

    # -- health ---------------------------------------------------------------------------------

    def liveness_fault(self) -> str | None:
        quiet_s = monotonic() - self._looped_at
        return f"the loop has not turned for {quiet_s:.0f} s" if quiet_s > 60 else None

    def readiness_fault(self) -> str | None:
        if self._drain.lost is not None:
            return str(self._drain.lost)
        if self._presence.state is WorkerState.DRAINING:
            return "draining"
        return None if self._nc.is_connected else "NATS is not connected"

    def lose(self, error: ScreenalyticsError) -> None:
        """What the models run on is gone: hand back what is in work, and let `run` raise `error`."""
        self._runner.lose(error)

    def _turned(self) -> None:
        self._looped_at = monotonic()

    # -- the loop -------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set. Raises `WorkerStalled`, and what `lose` was told."""
        self._drain.stop = stop
        control = await self._nc.subscribe(bus.ALL_CONTROL, cb=self._on_control)
        try:
            async with self._presence.announced():
                await self._work_until(stop)
                if self._drain.lost is not None:
                    await self._presence.refuse(self._drain.lost)
                    raise self._drain.lost
        finally:
            with suppress(NatsError):
                await control.unsubscribe()

    async def _work_until(self, stop: asyncio.Event) -> None:
        stage, route = self._handler.stage, self._pool.route
        queue = await self._js.pull_subscribe_bind(
            consumer=bus.route_consumer(stage, route), stream=bus.TASKS_STREAM
        )
        log.info("worker %s serves %s on %s", self._presence.worker_id, stage, route)
        while not stop.is_set():
            self._turned()
            await self._take_one(queue, stop)
        with suppress(NatsError):
            await self._nc.flush()
        # What came in the moment in which the last fetch gave up.
        while queue.pending_msgs and self._nc.is_connected:
            await self._take_one(queue, stop)

    async def _take_one(self, queue: JetStreamContext.PullSubscription, stop: asyncio.Event) -> None:
        delivery = await fetch_one(self._nc, queue)
        if delivery is not None:
            await self._take(delivery, stop)

    async def _take(self, delivery: Delivery, stop: asyncio.Event) -> None:
        task = self._readable(delivery.message)
        if task is None:
            await delivery.put_off(_MISMATCH_DELAY_S)
            return
        attempt_id = str(ULID())
        ids = {"job_id": task.job_id, "task_id": task.task_id, "attempt_id": attempt_id}
        subject = bus.task_subject_template(task.stage, task.provider)
        name, attributes = tracing.messaging("process", subject, **ids, run_id=task.run_id, task_kind=task.kind)
        # A task that was published again has no header; what made it stands in the task itself.
        carrier = {tracing.TRACEPARENT: task.traceparent} | (delivery.message.headers or {})
        with logs_about(**ids), tracing.span(name, attributes, kind=SpanKind.CONSUMER, carrier=carrier):
            await self._claim_and_work(task, attempt_id, delivery, stop)

    async def _claim_and_work(
        self, task: Task, attempt_id: str, delivery: Delivery, stop: asyncio.Event
    ) -> None:
        def goes_on() -> bool:
            # Told to stop, it still asks: only an answer says whether there is something to hand back.
            self._turned()
            return not self._drain.has_spent_grace()

        reply = await claim(delivery, task, attempt_id, self._presence.worker_id, goes_on)
        tracing.note(decision=reply.decision)
        if reply.decision is Decision.RUN and stop.is_set():
            # It came while the worker was told to stop. Refused, the message would count as redelivered.
            await hand_back(delivery, handed_back(task, attempt_id, self._presence.worker_id), self._turned)
        elif reply.decision is Decision.RUN:
            await self._runner.run(task, attempt_id, reply.generation, delivery)
        elif reply.decision is Decision.WAIT:
            log.info("task %s: %s (%s)", task.task_id, reply.decision, reply.reason)
            await delivery.put_off(_WAIT_DELAY_S)
        else:
            log.info("task %s: %s (%s)", task.task_id, reply.decision, reply.reason)
            await delivery.message.ack()

    def _readable(self, message: Msg) -> Task | None:
        """The task, unless it speaks of another release's schema, algorithm or models."""
        try:
            task = decode(Task, message.data)
        except InvalidRequest as error:
            log.warning("handed back an unreadable task: %s", error)
            return None
        expected = (SCHEMA_VERSION, STAGES[self._handler.stage].algorithm_version)
        if (task.schema_version, task.algorithm_version) != expected:
            log.warning("handed back task %s of another release", task.task_id)
            return None
        if task.provider != self._pool.route:
            log.warning("handed back task %s of route %s", task.task_id, task.provider)
            return None
        strangers = [ref.name for ref in task.models if not self._pool.matches(ref)]
        if strangers:
            log.warning("handed back task %s: other files for models %s", task.task_id, strangers)
            return None
        return task

    # -- what others hear -----------------------------------------------------------------------

    async def _on_control(self, message: Msg) -> None:
        try:
            control = decode(Control, message.data)
        except InvalidRequest:
            return
        if control.action == "cancel":
            self._runner.cancel(control.job_id)

    async def _send(self, subject: str, payload: bytes) -> None:
        with suppress(NatsError):
            await self._nc.publish(subject, payload)

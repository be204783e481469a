"""The worker loop: fetch one task, claim it, work, report, acknowledge.

Delivery is at least once, so nothing here decides what counts: the orchestrator's claim says whether to
run, and its guard on results decides which attempt wins. A task is acknowledged only after its result is
stored, so a worker that dies anywhere loses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from ulid import ULID

from services.kit import bus, tracing
from services.kit.attempt import (
    Attempt,
    handed_back,
    in_daemon_thread,
    run_handler,
    scratch_folder,
    task_result,
)
from services.kit.codec import decode
from services.kit.delivery import Delivery, claim, fetch_one, finish, hand_back, next_wait_s
from services.kit.errors import (
    AcceleratorUnavailable,
    InferenceUnavailable,
    InvalidRequest,
    ScreenalyticsError,
    SystemUnavailable,
)
from services.kit.inference.placement import Provider
from services.kit.inference.pool import ModelPool
from services.kit.logs import logs_about
from services.kit.messages import (
    SCHEMA_VERSION,
    Control,
    Decision,
    Execution,
    Task,
    TaskOutcome,
    WorkerState,
    now_at,
)
from services.kit.object_store import ObjectStore
from services.kit.presence import Presence
from services.kit.stages import STAGES, Outcome, Retry, StageHandler
from services.kit.telemetry import WorkerMetrics
from services.kit.threads import confined, process_cpu_seconds, process_threads
from services.kit.tracing import SpanKind

log = logging.getLogger(__name__)

_MISMATCH_DELAY_S = 5.0
_WAIT_DELAY_S = 2.0
_CANCEL_GRACE_S = 3.0


class WorkerStalled(SystemUnavailable):
    """A handler stopped ticking; only ending the process frees what it holds."""

    code = "worker-stalled"


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
        self._store = store
        self._scratch_dir = scratch_dir
        self._thread_cap = thread_cap
        self._thread_cap_is_explicit = thread_cap_is_explicit
        self._metrics = metrics
        self._drain_grace_s = drain_grace_s
        self._presence = presence
        self._attempt: Attempt | None = None
        self._stop = asyncio.Event()
        self._lost: ScreenalyticsError | None = None
        self._grace_ends_at: float | None = None
        self._looped_at = monotonic()

    # -- health ---------------------------------------------------------------------------------

    def liveness_fault(self) -> str | None:
        quiet_s = monotonic() - self._looped_at
        return f"the loop has not turned for {quiet_s:.0f} s" if quiet_s > 60 else None

    def readiness_fault(self) -> str | None:
        if self._lost is not None:
            return str(self._lost)
        if self._presence.state is WorkerState.DRAINING:
            return "draining"
        return None if self._nc.is_connected else "NATS is not connected"

    def lose(self, error: ScreenalyticsError) -> None:
        """What the models run on is gone: hand back what is in work, and let `run` raise `error`."""
        self._lost = self._lost or error
        self._metrics.lose()
        if self._attempt is not None:
            self._attempt.cancel()
        self._grace_ends_at = monotonic()
        self._stop.set()

    def _turned(self) -> None:
        self._looped_at = monotonic()

    def _has_spent_grace(self) -> bool:
        """Whether the time is over in which a worker that was told to stop may end what it has in hand."""
        if not self._stop.is_set():
            return False
        if self._grace_ends_at is None:
            self._grace_ends_at = monotonic() + self._drain_grace_s
        return monotonic() >= self._grace_ends_at

    # -- the loop -------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set. Raises `WorkerStalled`, and what `lose` was told."""
        self._stop = stop
        control = await self._nc.subscribe(bus.ALL_CONTROL, cb=self._on_control)
        try:
            async with self._presence.announced():
                await self._work_until(stop)
                if self._lost is not None:
                    await self._presence.refuse(self._lost)
                    raise self._lost
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
            return not self._has_spent_grace()

        reply = await claim(delivery, task, attempt_id, self._presence.worker_id, goes_on)
        tracing.note(decision=reply.decision)
        if reply.decision is Decision.RUN and stop.is_set():
            # It came while the worker was told to stop. Refused, the message would count as redelivered.
            await hand_back(delivery, handed_back(task, attempt_id, self._presence.worker_id), self._turned)
        elif reply.decision is Decision.RUN:
            await self._attempt_task(task, attempt_id, reply.generation, delivery, stop)
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

    # -- one attempt ----------------------------------------------------------------------------

    async def _attempt_task(
        self, task: Task, attempt_id: str, generation: int, delivery: Delivery, stop: asyncio.Event
    ) -> None:
        with scratch_folder(self._scratch_dir, attempt_id) as scratch:
            attempt = Attempt(
                task,
                attempt_id=attempt_id,
                generation=generation,
                store=self._store,
                pool=self._pool,
                scratch_dir=scratch,
                thread_cap=self._cap_for(task),
                send=self._send,
            )
            fatal: ScreenalyticsError | None = None
            async with self._busy_with(attempt):
                started_at, cpu, wall = now_at(), process_cpu_seconds(), monotonic()
                try:
                    with self._confined(attempt):
                        outcome, was_drained = await self._work(attempt, delivery, stop)
                except WorkerStalled as error:
                    outcome, was_drained, fatal = Retry(str(error)), False, error
                execution = self._execution(attempt, process_cpu_seconds() - cpu, monotonic() - wall)
            self._metrics.task_seconds.labels(task.kind).observe(execution.wall_seconds, tracing.exemplar())
        result = task_result(
            attempt, outcome, execution, worker_id=self._presence.worker_id, started_at=started_at
        )
        self._metrics.tasks.labels(result.outcome).inc()
        tracing.note(outcome=result.outcome)
        if result.outcome in (TaskOutcome.REJECTED, TaskOutcome.RETRY):
            tracing.fail(result.error_code or result.outcome)
        is_hand_back = was_drained and result.outcome is TaskOutcome.HANDED_BACK
        await (hand_back if is_hand_back else finish)(delivery, result, self._turned)
        if fatal is not None:
            raise fatal

    async def _work(
        self, attempt: Attempt, delivery: Delivery, stop: asyncio.Event
    ) -> tuple[Outcome | None, bool]:
        """(outcome, was drained): runs the handler in a thread and keeps the delivery alive meanwhile."""
        work = in_daemon_thread(lambda: run_handler(self._handler, attempt))
        cancelled_at: float | None = None
        while not work.done():
            await asyncio.wait({work}, timeout=next_wait_s(delivery, is_draining=stop.is_set()))
            self._turned()
            if attempt.idle_s > attempt.task.stall_s:
                stalled = f"task {attempt.task.task_id} has not moved for {attempt.idle_s:.0f} s"
                attempt.log(f"{stalled}; its worker ends", level="error")
                raise WorkerStalled(stalled)
            if monotonic() - delivery.beat_at >= bus.HEARTBEAT_S:
                with suppress(NatsError):
                    await delivery.beat()
            if self._has_spent_grace():
                attempt.cancel()
                cancelled_at = cancelled_at or monotonic()
                if monotonic() >= cancelled_at + _CANCEL_GRACE_S:
                    return None, True  # it does not react; the process is about to end under it
        try:
            return work.result(), stop.is_set()
        except (AcceleratorUnavailable, InferenceUnavailable) as error:
            self.lose(error)
            return None, True

    def _confined(self, attempt: Attempt) -> AbstractContextManager[None]:
        """Work on the CPU never takes more of it than its cap, whatever its libraries start."""
        return confined(attempt.thread_cap) if self._pool.route is Provider.CPU else nullcontext()

    def _execution(self, attempt: Attempt, cpu_seconds: float, wall_seconds: float) -> Execution:
        names = {ref.name for ref in attempt.task.models}
        return Execution(
            requested_device=attempt.task.requested_device,
            resolved_device=self._pool.route,
            models=tuple(p for p in self._pool.placements() if p.model in names),
            thread_cap=attempt.thread_cap,
            threads=process_threads(),
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
        )

    def _cap_for(self, task: Task) -> int:
        """The profile's cap, unless this worker was given one of its own; never above the cgroup."""
        wanted = _config_cap(task)
        return self._thread_cap if self._thread_cap_is_explicit else min(wanted, self._thread_cap)

    # -- what others hear -----------------------------------------------------------------------

    @asynccontextmanager
    async def _busy_with(self, attempt: Attempt) -> AsyncIterator[None]:
        self._attempt = attempt
        self._presence.busy_with(attempt.task.task_id)
        try:
            yield
        finally:
            self._attempt = None
            self._presence.idle()

    async def _on_control(self, message: Msg) -> None:
        try:
            control = decode(Control, message.data)
        except InvalidRequest:
            return
        attempt = self._attempt
        if attempt is not None and attempt.task.job_id == control.job_id and control.action == "cancel":
            attempt.cancel()

    async def _send(self, subject: str, payload: bytes) -> None:
        with suppress(NatsError):
            await self._nc.publish(subject, payload)


def _config_cap(task: Task) -> int:
    return int(json.loads(task.config_json)["thread_cap"])

"""Working on a claimed task: the handler runs in a thread, and the delivery is kept alive meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic

from nats.errors import Error as NatsError

from services.kit import bus, tracing
from services.kit.attempt import Attempt, Send, in_daemon_thread, run_handler, scratch_folder, task_result
from services.kit.delivery import Delivery, finish, hand_back, next_wait_s
from services.kit.drain import Drain
from services.kit.errors import (
    AcceleratorUnavailable,
    InferenceUnavailable,
    ScreenalyticsError,
    SystemUnavailable,
)
from services.kit.inference.placement import Provider
from services.kit.inference.pool import ModelPool
from services.kit.messages import Execution, Task, TaskOutcome, now_at
from services.kit.object_store import ObjectStore
from services.kit.presence import Presence
from services.kit.stages import Outcome, Retry, StageHandler
from services.kit.telemetry import WorkerMetrics
from services.kit.threads import confined, process_cpu_seconds, process_threads

_CANCEL_GRACE_S = 3.0


class WorkerStalled(SystemUnavailable):
    """A handler stopped ticking; only ending the process frees what it holds."""

    code = "worker-stalled"


class AttemptRunner:
    """One attempt at a time. `on_turn` is called while it lasts, each time the event loop comes round."""

    def __init__(
        self,
        *,
        handler: StageHandler,
        pool: ModelPool,
        store: ObjectStore,
        scratch_dir: Path,
        thread_cap: int,
        thread_cap_is_explicit: bool,
        metrics: WorkerMetrics,
        presence: Presence,
        drain: Drain,
        send: Send,
        on_turn: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._pool = pool
        self._store = store
        self._scratch_dir = scratch_dir
        self._thread_cap = thread_cap
        self._thread_cap_is_explicit = thread_cap_is_explicit
        self._metrics = metrics
        self._presence = presence
        self._drain = drain
        self._send = send
        self._on_turn = on_turn
        self._attempt: Attempt | None = None

    def cancel(self, job_id: str) -> None:
        """Ends the attempt at hand if it is one at that job."""
        if self._attempt is not None and self._attempt.task.job_id == job_id:
            self._attempt.cancel()

    def lose(self, error: ScreenalyticsError) -> None:
        """What the models run on is gone: the attempt at hand is handed back, and the worker ends."""
        self._metrics.lose()
        if self._attempt is not None:
            self._attempt.cancel()
        self._drain.lose(error)

    async def run(self, task: Task, attempt_id: str, generation: int, delivery: Delivery) -> None:
        """Works, stores the result, and lets go of the task. Raises `WorkerStalled`."""
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
                        outcome, was_drained = await self._work(attempt, delivery)
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
        await (hand_back if is_hand_back else finish)(delivery, result, self._on_turn)
        if fatal is not None:
            raise fatal

    async def _work(self, attempt: Attempt, delivery: Delivery) -> tuple[Outcome | None, bool]:
        """(outcome, was drained): runs the handler in a thread and keeps the delivery alive meanwhile."""
        work = in_daemon_thread(lambda: run_handler(self._handler, attempt))
        cancelled_at: float | None = None
        while not work.done():
            await asyncio.wait({work}, timeout=next_wait_s(delivery, is_draining=self._drain.stop.is_set()))
            self._on_turn()
            if attempt.idle_s > attempt.task.stall_s:
                stalled = f"task {attempt.task.task_id} has not moved for {attempt.idle_s:.0f} s"
                attempt.log(f"{stalled}; its worker ends", level="error")
                raise WorkerStalled(stalled)
            if monotonic() - delivery.beat_at >= bus.HEARTBEAT_S:
                with suppress(NatsError):
                    await delivery.beat()
            if self._drain.has_spent_grace():
                attempt.cancel()
                cancelled_at = cancelled_at or monotonic()
                if monotonic() >= cancelled_at + _CANCEL_GRACE_S:
                    return None, True  # it does not react; the process is about to end under it
        try:
            return work.result(), self._drain.stop.is_set()
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

    @asynccontextmanager
    async def _busy_with(self, attempt: Attempt) -> AsyncIterator[None]:
        self._attempt = attempt
        self._presence.busy_with(attempt.task.task_id)
        try:
            yield
        finally:
            self._attempt = None
            self._presence.idle()


def _config_cap(task: Task) -> int:
    return int(json.loads(task.config_json)["thread_cap"])

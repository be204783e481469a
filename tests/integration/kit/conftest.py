"""A real worker loop in this process, beside the orchestrator's own agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kit.bus_connection import connect
from services.kit.inference.catalog import Catalog
from services.kit.inference.placement import Provider
from services.kit.inference.pool import ModelPool
from services.kit.presence import Presence
from services.kit.settings import NatsSettings
from services.kit.stages import Done, Outcome, Stage, TaskContext
from services.kit.telemetry import WorkerMetrics
from services.kit.worker import Worker
from services.local.nats import EmbeddedNats
from services.orchestrator.endings import end_tasks
from services.orchestrator.feed import JobFeed
from tests.integration.parts import Parts

Act = Callable[[TaskContext], Outcome]


@dataclass
class ActingStage:
    """A stage handler that does what the test says."""

    stage: Stage
    act: Act

    def roles(self) -> tuple[str, ...]:
        return ()

    def run(self, context: TaskContext) -> Outcome:
        return self.act(context)


def nothing(_: TaskContext) -> Outcome:
    return Done()


@dataclass(frozen=True)
class RunningWorker:
    worker: Worker
    stop: asyncio.Event
    loop: asyncio.Task[None]
    scratch_dir: Path
    metrics: WorkerMetrics

    async def ended(self) -> None:
        """Waits for the end of the loop; raises what it raised."""
        await asyncio.wait_for(asyncio.shield(self.loop), 20)


StartWorker = Callable[..., AbstractAsyncContextManager[RunningWorker]]


@pytest.fixture
async def agents(parts: Parts) -> AsyncIterator[Parts]:
    """`parts`, of which the agents that move a job forward are running."""
    await parts.desk.start()
    feed = JobFeed(parts.database.dsn, on_outbox=parts.relay.wake, on_job_ended=parts.silencer.wake)
    loops = (parts.relay, feed, parts.results, parts.silencer, parts.logbook)
    running = [asyncio.create_task(agent.run()) for agent in loops]
    yield parts
    assert [agent for agent in running if agent.done()] == []
    await end_tasks(running)


@pytest.fixture
def start_worker(parts: Parts, nats_server: EmbeddedNats, tmp_path: Path) -> StartWorker:
    @asynccontextmanager
    async def start(
        act: Act = nothing,
        *,
        stage: Stage = Stage.DETECT_TRACK,
        catalog: Catalog | None = None,
        thread_cap: int = 2,
        is_explicit: bool = False,
        drain_grace_s: float = 10.0,
        nats_url: str = nats_server.url,
        nats: NatsSettings | None = None,
    ) -> AsyncIterator[RunningWorker]:
        pool = ModelPool(catalog or Catalog.load(None), requested=Provider.CPU, allow_cpu=False)
        nc = await connect(nats or nats_url, name=stage)
        metrics = WorkerMetrics(thread_cap=thread_cap)
        scratch_dir = tmp_path / f"scratch-{id(pool)}"
        worker = Worker(
            nc,
            handler=ActingStage(stage, act),
            pool=pool,
            store=parts.store,
            scratch_dir=scratch_dir,
            thread_cap=thread_cap,
            thread_cap_is_explicit=is_explicit,
            metrics=metrics,
            drain_grace_s=drain_grace_s,
            presence=Presence(nc, stage=stage, pool=pool, thread_cap=thread_cap, health_port=0),
        )
        stop = asyncio.Event()
        running = RunningWorker(worker, stop, asyncio.create_task(worker.run(stop)), scratch_dir, metrics)
        try:
            yield running
        finally:
            await end_tasks([running.loop])  # as a process that is ended: no fetch is waited for
            await nc.close()

    return start

"""A cancel reaches a worker that works, also one that was out of reach, and frees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kit import bus
from services.kit.stages import Outcome, TaskContext
from services.local.nats import EmbeddedNats
from services.orchestrator.endings import end_tasks
from services.orchestrator.feed import JobFeed
from services.orchestrator.job_request import JobKind
from services.orchestrator.reaper import Silencer
from services.orchestrator.registry import WorkerRegistry
from tests.integration.kit.conftest import StartWorker
from tests.integration.kit.handlers import Held, leave, work
from tests.integration.kit.link import Link
from tests.integration.parts import Parts, until


@pytest.fixture
async def link(nats_server: EmbeddedNats) -> AsyncIterator[Link]:
    async with Link.to(nats_server.url) as link:
        yield link


async def is_let_go(parts: Parts) -> bool:
    rows = await parts.rows("SELECT state FROM attempts")
    return [row["state"] for row in rows] == ["fenced"]


async def test_a_cancelled_job_leaves_no_result_and_its_worker_takes_the_next(
    agents: Parts, start_worker: StartWorker
) -> None:
    held = Held()

    def leave_and_hold(context: TaskContext) -> Outcome:
        if context.task.kind == "plan" or held.release.is_set():
            return work(context)
        for kind in ("segment_frames", "segment_detections"):
            leave(context, kind)  # type: ignore[arg-type]
        return held(context)

    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(leave_and_hold):
        await until(held.is_entered)
        await agents.jobs.cancel(job_id)

        async def is_closed() -> bool:
            return not await agents.rows("SELECT 1 FROM attempts WHERE state = 'open'")

        await until(is_closed)
        assert await agents.rows("SELECT 1 FROM artifacts") == []
        held.release.set()
        second = await agents.submit(JobKind.DETECT_TRACK)

        async def is_done() -> bool:
            return (await agents.states(second))[0] == "succeeded"

        await until(is_done)
    assert await agents.states(job_id) == ("cancelled", ["cancelled"])


async def test_a_worker_that_was_out_of_reach_hears_of_a_cancel_long_past(
    agents: Parts, start_worker: StartWorker, link: Link
) -> None:
    await WorkerRegistry(agents.nc, agents.database).start()
    held = Held()
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held, nats_url=link.url):
        await until(held.is_entered)
        link.cut()
        await agents.jobs.cancel(job_id)
        await agents.rows("UPDATE jobs SET finished_at = finished_at - interval '1 hour'")
        await agents.rows("UPDATE workers SET last_seen_at = last_seen_at - interval '1 hour'")
        async with agents.database.transaction() as tx:
            assert await tx.all("jobs_to_silence", worker_expiry_s=bus.WORKER_EXPIRY_S) == []
        link.mend()
        await until(lambda: is_let_go(agents))


async def test_a_cancel_wakes_whoever_tells_the_workers(parts: Parts) -> None:
    """The round of every second is for those that did not hear; the first word goes out at once."""
    woken = asyncio.Event()

    class Woken(Silencer):
        def wake(self) -> None:
            super().wake()
            woken.set()

    silencer = Woken(parts.nc, parts.database)
    listening = asyncio.Event()
    feed = JobFeed(parts.database.dsn, on_outbox=listening.set, on_job_ended=silencer.wake)
    running = [asyncio.create_task(feed.run())]
    await asyncio.wait_for(listening.wait(), 10)
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    assert not woken.is_set()
    await parts.jobs.cancel(job_id)
    await asyncio.wait_for(woken.wait(), 10)
    await end_tasks(running)

"""Parts of the system that are away for longer than a restart."""

from __future__ import annotations

import asyncio
import signal

import httpx
from chaos import audit
from chaos.load import Users
from chaos.system import ChaosSystem

from services.kit import bus
from services.kit.bus_connection import connect
from services.kit.stages import Stage
from tests.chaos.conftest import SCALE, Begin, assert_exact, finished
from tests.sizes import IS_FULL, sized


async def test_a_broker_that_lost_its_files_with_jobs_in_flight_loses_none(begin: Begin) -> None:
    # Few jobs last long enough to be caught in flight; of many the work alone must fit into the bar of 60 s.
    jobs, work_s = sized((12, 0.4), (300, 0.1))
    async with begin(work_s=work_s) as (system, users):
        names = [f"ep-{n}" for n in range(jobs)]
        await users.register_all(names)
        await asyncio.gather(*map(users.submit, names))
        assert await audit.unfinished_jobs(system.dsn) > jobs // 2
        await system.lose_jetstream()
        await finished(system)
        await assert_exact(system, jobs)
        if IS_FULL:
            assert await _done_after_first_pass_s(system) <= 60


async def _done_after_first_pass_s(system: ChaosSystem) -> float:
    """From the reaper's first pass over the new broker, which made its streams, to the end of the last job."""
    nc = await connect(system.nats_url, name="test")
    try:
        made_at = (await nc.jetstream().stream_info(bus.TASKS_STREAM)).created
    finally:
        await nc.close()
    assert made_at is not None
    ended = await audit.rows(system.dsn, "SELECT max(finished_at) AS at FROM jobs")
    return float((ended[0]["at"] - made_at).total_seconds())


async def test_the_reaper_adds_no_copy_to_a_backlog(begin: Begin) -> None:
    jobs, passes = sized(150, 5_000), 3
    async with begin(workers={}) as (system, users):
        names = [f"ep-{n}" for n in range(jobs)]
        await users.register_all(names)
        for start in range(0, jobs, 50):
            await asyncio.gather(*map(users.submit, names[start : start + 50]))

        async def all_sent() -> bool:
            return await audit.unsent_outbox(system.dsn) == 0

        assert await audit.until(all_sent, within_s=60)
        before = await _queue(system)
        await asyncio.sleep((bus.ACK_WAIT_S + 5.0 * passes) * SCALE)
        assert await _queue(system) == before == (jobs, jobs)
        assert system.log_lines("its message was gone") == 0


async def _queue(system: ChaosSystem) -> tuple[int, int]:
    """(messages in the queue, the last number given to one): a copy would raise the second."""
    nc = await connect(system.nats_url, name="test")
    try:
        info = await nc.jetstream().stream_info(bus.TASKS_STREAM)
    finally:
        await nc.close()
    return info.state.messages, info.state.last_seq


async def test_postgres_may_be_away_for_a_while_again_and_again(begin: Begin) -> None:
    jobs, times, down_s = sized(12, 60), sized(2, 4), sized(2, 30)
    async with begin(work_s=0.3) as (system, users):
        names = [f"ep-{n}" for n in range(jobs)]
        await users.register_all(names)
        submits = [asyncio.create_task(users.submit(name)) for name in names]
        for _ in range(times):
            system.kill_postgres(down_s=down_s)
            await _sees_an_honest_answer(system, users)
            await asyncio.sleep(down_s)
        await asyncio.gather(*submits)
        await finished(system)
        await assert_exact(system, jobs)


async def _sees_an_honest_answer(system: ChaosSystem, users: Users) -> None:
    """Without Postgres the API waits, or says when to come again."""
    async with httpx.AsyncClient(base_url=system.urls[0], timeout=60, trust_env=False) as client:
        answer = await client.get("/v1/jobs")
    assert answer.status_code in (200, 503)
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["code"] == "system-unavailable"


async def test_an_orchestrator_may_be_away_for_the_whole_of_a_run(begin: Begin) -> None:
    jobs = sized(2, 12)
    async with begin(workers=dict.fromkeys(Stage, 2 * jobs)) as (system, users):
        names = [f"slow-{n}" for n in range(jobs)]
        await users.register_all(names)
        await asyncio.gather(*map(users.submit, names))

        async def all_in_slow_work() -> bool:
            return sum(e.event == "start" for e in audit.executions(system.journal)) >= jobs * 3

        assert await audit.until(all_in_slow_work, within_s=60)
        for orchestrator in system.orchestrators:
            orchestrator.signal(signal.SIGKILL, down_s=3_600)

        async def all_worked() -> bool:
            last = {e.attempt_id: e.event for e in audit.executions(system.journal)}
            return set(last.values()) == {"end"}

        assert await audit.until(all_worked, within_s=60)
        await asyncio.sleep(bus.ACK_WAIT_S * SCALE)
        for orchestrator in system.orchestrators:
            orchestrator.signal(signal.SIGKILL)
        await finished(system)
        await assert_exact(system, jobs)
        attempts = await audit.rows(system.dsn, "SELECT count(*) AS n FROM attempts")
        assert attempts[0]["n"] == jobs * 6
        assert system.log_lines("its message was gone") == 0

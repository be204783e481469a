"""Workers that freeze, drain, die at any statement, or are given tasks that kill them."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

from chaos import audit
from chaos.crash_points import Point, recorded
from chaos.load import Users
from chaos.system import ChaosSystem
from crash_storm import Storm

from services.kit import bus
from services.kit.bus_connection import connect
from services.kit.stages import Stage
from tests.chaos.conftest import SCALE, Begin, assert_exact, finished
from tests.sizes import IS_FULL, sized

_MAX_ATTEMPTS = 3


async def test_workers_that_come_back_from_a_freeze_have_no_effect(begin: Begin) -> None:
    zombies = sized(3, 50)
    async with begin(workers={Stage.DETECT_TRACK: 5, Stage.FACES_EMBED: 1, Stage.CLUSTER: 1}) as (
        system,
        users,
    ):
        storm = Storm(system, users, 0, 0, zombies, random.Random(1), 1.0)
        freezing = asyncio.create_task(storm.freeze())
        jobs = await _submit_slow_jobs(system, users, freezing)
        await freezing
        await finished(system)
        await assert_exact(system, jobs)

        assert len(storm.thawed) == zombies
        late_successes = [e for e in storm.thawed if not e.ep_id.startswith("sulk")]

        async def are_fenced() -> bool:
            return await audit.fenced(system.dsn) >= len(late_successes)

        assert await audit.until(are_fenced, within_s=30)


async def _submit_slow_jobs(system: ChaosSystem, users: Users, until: asyncio.Task[None]) -> int:
    """The number of jobs: a few at a time for as long as workers are to be caught at one, and no more after."""

    async def is_room() -> bool:
        return until.done() or await audit.unfinished_jobs(system.dsn) < 5

    jobs = 0
    while not until.done():
        name = f"{'sulk' if jobs % 3 == 2 else 'slow'}-{jobs}"
        await users.register(name)
        await users.submit(name)
        jobs += 1
        assert await audit.until(is_room, within_s=300)
    return jobs


async def test_a_drain_counts_no_attempt_and_kills_no_task(begin: Begin) -> None:
    jobs, drains = sized(10, 120), sized(8, 100)
    async with begin(max_attempts=1, work_s=0.5) as (system, users):
        names = [f"{'slow' if n % 5 == 0 else 'ep'}-{n}" for n in range(jobs)]
        await users.register_all(names)
        await asyncio.gather(*map(users.submit, names))
        rng = random.Random(1)
        for _ in range(drains):
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            rng.choice([*system.workers, *system.orchestrators]).signal(signal.SIGTERM)
        await finished(system)
        await assert_exact(system, jobs)
        counted = await audit.rows(system.dsn, "SELECT task_id FROM tasks WHERE attempts <> 1")
        states = await audit.rows(system.dsn, "SELECT DISTINCT state FROM attempts")
        assert counted == []
        assert {row["state"] for row in states} <= {"succeeded", "handed_back"}
        assert await audit.rows(system.dsn, "SELECT 1 FROM dead_letters") == []
        assert await _redelivered(system) == 0


async def _redelivered(system: ChaosSystem) -> int:
    """Deliveries of tasks beyond the first of each message."""
    nc = await connect(system.nats_url, name="test")
    try:
        js = nc.jetstream()
        published = (await js.stream_info(bus.TASKS_STREAM)).state.last_seq
        consumers = await js.consumers_info(bus.TASKS_STREAM)
    finally:
        await nc.close()
    return sum(c.delivered.consumer_seq for c in consumers if c.delivered) - published


async def test_a_crash_at_any_statement_between_fetch_and_acknowledgement_changes_nothing(
    begin: Begin, tmp_path: Path
) -> None:
    async with begin(workers={}, max_attempts=1_000, work_s=0.0) as (system, users):
        points = await _statements(system, users, tmp_path / "statements")
        points = points * 5 if IS_FULL else random.Random(1).sample(points, 16)
        names = [f"ep-{n}" for n in range(len(points))]
        await users.register_all(names)
        await asyncio.gather(*map(users.submit, names))
        crashed = await _crash_at_each(system, points)
        system.workers += [system.worker_member(stage, 900 + n) for n, stage in enumerate(Stage)]
        await finished(system)
        await assert_exact(system, len(names) + 1)
        assert crashed >= 0.9 * len(points)  # a statement may depend on what else goes on


async def _statements(system: ChaosSystem, users: Users, record: Path) -> list[Point]:
    """Those that a whole run meets."""
    watching = [
        system.worker_member(stage, n, crash_at=Point(record=record.with_suffix(f".{n}")))
        for n, stage in enumerate(Stage)
    ]
    system.workers += watching
    await users.register_all(["first"])
    await users.submit("first")
    await finished(system)
    for member in watching:
        member.is_wanted = False
        member.signal(signal.SIGKILL)
        system.workers.remove(member)
    return recorded(record.with_suffix(".0"))


async def _crash_at_each(system: ChaosSystem, points: list[Point]) -> int:
    """The number of workers that died at their statement; each takes a task that nobody holds."""
    gate = asyncio.Semaphore(4)

    async def crash(number: int, point: Point) -> bool:
        async with gate:
            worker = system.worker_member(Stage.DETECT_TRACK, 100 + number, crash_at=point)
            worker.tend()

            async def is_dead() -> bool:
                return not worker.is_alive()

            is_crashed = await audit.until(is_dead, within_s=15, every_s=0.02)
            worker.signal(signal.SIGKILL)
            return is_crashed

    return sum(await asyncio.gather(*(crash(n, point) for n, point in enumerate(points))))


async def test_poison_is_put_aside_and_the_rest_goes_on(begin: Begin) -> None:
    healthy, poison = sized(10, 195), ["crash-1", "hang-1", "memory-1", "crash-2", "hang-2"][: sized(3, 5)]
    workers = {Stage.DETECT_TRACK: sized(3, 6), Stage.FACES_EMBED: 2, Stage.CLUSTER: 2}
    shape = {
        "max_attempts": _MAX_ATTEMPTS,
        "stall_s": max(5, 20 * SCALE),
        "memory_bytes": 1 << 30,
        "workers": workers,
    }
    async with begin(**shape) as (system, users):
        names = [f"ep-{n}" for n in range(healthy)]
        quiet = [f"quiet-{n}" for n in range(healthy if IS_FULL else 0)]
        await users.register_all([*names, *quiet, *poison])
        await asyncio.gather(*map(users.submit, quiet))
        await finished(system)
        await asyncio.gather(*(users.submit(name) for name in [*poison, *names]))
        await finished(system)
        dead = await audit.rows(
            system.dsn,
            """SELECT e.ep_id, d.attempts, d.reason, d.log_tail FROM dead_letters d
               JOIN jobs j USING (job_id) JOIN episodes e USING (episode_uid)""",
        )
        assert sorted(row["ep_id"] for row in dead) == sorted(poison)
        assert {row["attempts"] for row in dead} == {_MAX_ATTEMPTS}
        said = {row["ep_id"]: " ".join([row["reason"], *row["log_tail"]]) for row in dead}
        assert "died without a word" in said["crash-1"]
        assert "about to crash" in said["crash-1"]
        assert "has not moved" in said["hang-1"]
        assert "about to hang" in said["hang-1"]
        assert "MemoryError" in said["memory-1"]
        done = await audit.rows(system.dsn, "SELECT 1 FROM jobs WHERE state = 'succeeded'")
        assert len(done) == healthy + len(quiet)
        if IS_FULL:
            assert await _p95_s(system, "ep-") < 2 * await _p95_s(system, "quiet-")


async def _p95_s(system: ChaosSystem, prefix: str) -> float:
    """From submit to end, of the jobs of the episodes so named."""
    found = await audit.rows(
        system.dsn,
        """SELECT percentile_cont(0.95) WITHIN GROUP (
               ORDER BY extract(epoch FROM j.finished_at - j.created_at)) AS p95
           FROM jobs j JOIN episodes e USING (episode_uid) WHERE starts_with(e.ep_id, %s)""",
        prefix,
    )
    return float(found[0]["p95"])

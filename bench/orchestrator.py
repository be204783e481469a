"""What the job engine costs by itself: no-op tasks, real servers with fsync on, real processes.

Submit to start is the time from a client's request to the first line of the handler, on an idle system.
Tasks per second are of jobs of one plan, twenty segments and one stitch. Round trips to Postgres are
counted on the wire, by a proxy, over everything that the orchestrator does from the submits to the last
result: relay, claims, results, and what it looks for in between. `peers`: see `peers.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chaos import audit
from chaos.handler import NOOP_SEGMENTS
from chaos.load import Users
from chaos.system import ChaosSystem, Shape
from peers import peers

from services.kit.stages import Stage

_TASKS = NOOP_SEGMENTS + 2
_BARS = {"submit_to_start_p50_ms": 15.0, "round_trips_per_task": 6.0}


@asynccontextmanager
async def engine(home: Path, workers: int, *, counts: bool = False) -> AsyncIterator[tuple[ChaosSystem, Users]]:
    """A system of one orchestrator, and its users, once its workers are there."""
    shape = Shape(
        orchestrators=1, workers={Stage.DETECT_TRACK: workers}, is_noop=True, counts_round_trips=counts
    )
    async with ChaosSystem(home, shape).running() as system:
        users = Users(system.urls)

        async def are_there() -> bool:
            answer = await users.ask("GET", "/v1/workers")
            return len(answer.json()["workers"]) >= workers

        assert await audit.until(are_there, within_s=120)
        try:
            yield system, users
        finally:
            await users.close()


async def _done(system: ChaosSystem) -> None:
    async def is_over() -> bool:
        return await audit.unfinished_jobs(system.dsn) == 0

    assert await audit.until(is_over, within_s=300, every_s=0.02)


async def submit_to_start(home: Path, samples: int) -> dict[str, float | None]:
    async with engine(home, 1) as (system, users):
        names = [f"noop-{n}" for n in range(samples)]
        await users.register_all(names)
        asked_at = {}
        for name in names:
            asked_at[name] = time.time()
            await users.submit(name, kind=Stage.DETECT_TRACK)
            await _begun(system.journal, name)
            await _done(system)
        firsts: dict[str, float] = {}
        for execution in audit.executions(system.journal):
            firsts.setdefault(execution.ep_id, execution.at)
        waits = [1000 * (firsts[name] - asked_at[name]) for name in names]
    return {
        "submit_to_start_p50_ms": audit.percentile(waits, 0.5),
        "submit_to_start_p99_ms": audit.percentile(waits, 0.99),
    }


async def _begun(journal: Path, ep_id: str) -> None:
    """Looks at a file alone: whoever asks a server meanwhile takes part in what is measured."""

    async def is_there() -> bool:
        return any(execution.ep_id == ep_id for execution in audit.executions(journal))

    assert await audit.until(is_there, within_s=60, every_s=0.002)


async def tasks_per_s(home: Path, workers: int, jobs: int) -> float:
    async with engine(home, workers) as (system, users):
        names = [f"noop-{n}" for n in range(jobs)]
        await users.register_all(names)
        began = time.monotonic()
        await _work_off(system, users, names)
        return round(jobs * _TASKS / (time.monotonic() - began), 1)


async def _work_off(system: ChaosSystem, users: Users, names: list[str]) -> None:
    await asyncio.gather(*(users.submit(name, kind=Stage.DETECT_TRACK) for name in names))
    await _done(system)


async def round_trips(home: Path, workers: int, jobs: int) -> float:
    async with engine(home, workers, counts=True) as (system, users):
        names = [f"noop-{n}" for n in range(jobs)]
        await users.register_all(names)
        before = system.proxy.round_trips
        await _work_off(system, users, names)
        return round((system.proxy.round_trips - before) / (jobs * _TASKS), 2)


async def measure(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    figures: dict[str, Any] = await submit_to_start(home / "start", options.samples)
    for workers in options.workers:
        figures[f"tasks_per_s_{workers}"] = await tasks_per_s(home / f"w{workers}", workers, options.jobs)
    figures["round_trips_per_task"] = await round_trips(home / "trips", 8, options.jobs)
    figures["round_trips_per_task_alone"] = await round_trips(home / "trips1", 1, max(1, options.jobs // 2))
    figures["peers"] = await peers(home / "peers", 8, options.samples, options.jobs * _TASKS)
    return figures | {"bars": _BARS, "fsync": True, "tasks_per_job": _TASKS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--json", action="store_true", help="one line (it is always one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenalytics-engine-") as folder:
        figures = asyncio.run(measure(options, Path(folder)))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

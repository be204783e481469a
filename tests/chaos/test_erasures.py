"""Erasures race running jobs: each time nothing is left, and what is uploaded after them is whole."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from chaos import audit
from chaos.load import Users
from chaos.system import ChaosSystem

from tests.chaos.conftest import Begin, finished
from tests.erasure_traces import traces_in_database, traces_in_files
from tests.sizes import sized

_MOMENTS = 14  # events of a job's life, from its submission to shortly before its end


async def erased_in_flight(users: Users, system: ChaosSystem, name: str, moment: int) -> str:
    """Submits a job, erases its episode once the job has that many events, and begins anew under the name.

    The receipt's id.
    """
    await users.register(name)
    job_id = await users.submit(name)

    async def has_come_so_far() -> bool:
        query = "SELECT seq, state FROM jobs WHERE job_id = %s"
        (job,) = await audit.rows(system.dsn, query, job_id)
        return job["seq"] >= moment or job["state"] == "succeeded"

    assert await audit.until(has_come_so_far, within_s=60, every_s=0.05)
    answer = await users.ask("DELETE", f"/v1/episodes/{name}")
    assert answer.status_code == 202, answer.text
    await users.register(name)
    await users.submit(name)
    return str(answer.json()["erasure_id"])


async def test_an_erasure_wins_against_a_running_job_and_leaves_nothing(begin: Begin) -> None:
    races = sized(12, 50)
    async with begin() as (system, users):
        moments = [random.Random(n).randrange(_MOMENTS) for n in range(races)]
        begun = [erased_in_flight(users, system, f"canary-{n}", m) for n, m in enumerate(moments)]
        receipts = await asyncio.gather(*begun)
        erased = await audit.rows(system.dsn, "SELECT episode_uids, job_ids FROM erasures")
        gone = [one.encode() for row in erased for one in (*row["episode_uids"], *row["job_ids"])]
        assert len(gone) == 2 * races
        await finished(system)

        async def are_done() -> bool:
            rows = await audit.rows(system.dsn, "SELECT state, unemptied_streams FROM erasures")
            return all(row["state"] == "done" and not row["unemptied_streams"] for row in rows)

        assert await audit.until(are_done, within_s=120)
        assert await states(users, receipts) == {"done"}
        assert set(traces_in_database(system.dsn, gone)) == {"public.erasures"}
        for folder in (system.store_dir, system.home / "nats"):
            assert traces_in_files(folder, gone) == []
        assert await audit.lost_jobs(system.dsn, races) == []
        assert await audit.duplicates(system.dsn) == []


async def states(users: Users, receipts: list[str]) -> set[Any]:
    return {(await users.ask("GET", f"/v1/erasures/{receipt}")).json()["state"] for receipt in receipts}

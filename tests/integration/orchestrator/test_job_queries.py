"""What is asked about jobs, and what it costs."""

from __future__ import annotations

import re

from services.kit.inference.catalog import Catalog
from services.kit.messages import Heartbeat, WorkerState, now_at
from services.local.postgres import EmbeddedPostgres
from services.orchestrator.database import Database
from services.orchestrator.job_request import JobKind
from services.orchestrator.job_view import JobFilter
from services.orchestrator.paging import PageRequest
from services.orchestrator.records import Records
from services.orchestrator.registry import WorkerRegistry
from tests.integration.parts import Parts

_STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*)")
_BESIDE = ("BEGIN", "COMMIT", "ROLLBACK", "")


async def test_what_runs_for_an_episode_is_one_query(parts: Parts, postgres: EmbeddedPostgres) -> None:
    job_id = await parts.submitted()
    await parts.do(await parts.task(job_id))
    logged = Database(parts.database.dsn + "?options=-c%20log_statement%3Dall", pool_size=2)
    await logged.open()
    log = postgres.home / "server.log"
    try:
        before = len(log.read_text())
        running = JobFilter("show", "detect_track", active=True)
        jobs = (await Records(logged, parts.store, Catalog.load(None)).job_page(running, PageRequest())).items
        said = _STATEMENT.findall(log.read_text()[before:])
    finally:
        await logged.close()
    assert [job["job_id"] for job in jobs] == [job_id]
    assert (jobs[0]["stages"][0]["tasks_done"], jobs[0]["stages"][0]["tasks_total"]) == (1, 4)
    assert len([text for text in said if text.strip() not in _BESIDE]) == 1, said


async def test_jobs_are_told_apart_by_episode_stage_and_whether_they_run(parts: Parts) -> None:
    ended = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.jobs.cancel(ended)
    running = await parts.submit()
    await parts.upload("other")
    elsewhere = await parts.submit(ep_id="other")

    async def found(ep_id: str | None = None, stage: str | None = None, *, active: bool = False) -> list[str]:
        jobs = await parts.records.job_page(JobFilter(ep_id, stage, active), PageRequest())
        return [job["job_id"] for job in jobs.items]

    assert await found() == [elsewhere, running, ended]
    assert await found("show") == [running, ended]
    assert await found("show", active=True) == [running]
    assert await found("show", "cluster") == [running]
    assert await found("show", "detect_track", active=True) == [running]
    await parts.finish(running)
    assert await found("show", "detect_track", active=True) == []
    assert await found("nobody") == []


async def test_a_stage_that_is_over_is_not_active_though_its_job_is(parts: Parts) -> None:
    job_id = await parts.submitted()
    while (await parts.states(job_id))[1][0] != "succeeded":
        for task in await parts.tasks(job_id):
            await parts.do(task)
    for stage, active in (("detect_track", 0), ("faces_embed", 1)):
        found = await parts.records.job_page(JobFilter("show", stage, active=True), PageRequest())
        assert len(found.items) == active


async def test_a_worker_that_was_lately_heard_serves_its_stage(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    beat = Heartbeat("w1", "detect_track", WorkerState.BUSY, "cpu", "cpu", now_at())
    await WorkerRegistry(parts.nc, parts.database).record(beat)
    assert (await parts.records.job(job_id))["stages"][0]["waiting_for"] is None
    await parts.rows("UPDATE workers SET last_seen_at = now() - interval '1 minute'")
    assert (await parts.records.job(job_id))["stages"][0]["waiting_for"] is not None

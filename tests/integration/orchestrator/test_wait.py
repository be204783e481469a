"""Waiting for the end of a job instead of asking again and again."""

from __future__ import annotations

import asyncio
from time import monotonic

import httpx

from tests.integration.orchestrator.test_event_stream import logged
from tests.integration.orchestrator.test_http import is_problem, started, upload
from tests.integration.parts import Parts


async def wait(api: httpx.AsyncClient, job_id: str, timeout_s: float) -> httpx.Response:
    return await api.post(f"/v1/jobs/{job_id}:wait", params={"timeout_s": timeout_s})


async def test_an_ended_job_is_answered_at_once(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await started(api)
    await parts.jobs.cancel(job_id)
    answer = await wait(api, job_id, 1000)
    assert (answer.status_code, answer.json()) == (200, (await api.get(f"/v1/jobs/{job_id}")).json())


async def test_a_waiter_hears_of_the_end_when_it_comes(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await started(api)
    waiting = [asyncio.create_task(wait(api, job_id, 60)) for _ in range(5)]
    for number, task in enumerate(await parts.tasks(job_id)):
        await logged(parts, task, f"line {number}")
    assert not any(one.done() for one in waiting)
    await parts.finish(job_id)
    assert {one.json()["state"] for one in await asyncio.gather(*waiting)} == {"succeeded"}


async def test_a_job_that_goes_on_is_answered_as_it_is_at_the_timeout(api: httpx.AsyncClient) -> None:
    job_id = await started(api)
    began = monotonic()
    answer = await wait(api, job_id, 0.3)
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert monotonic() - began >= 0.3
    assert (await wait(api, job_id, 0)).json()["state"] == "queued"


async def test_what_cannot_be_waited_for_is_bad_input(api: httpx.AsyncClient) -> None:
    assert is_problem(await wait(api, "nobody", 1), 404, "not-found")
    await upload(api)
    job_id = await started(api)
    for timeout in (-1, float("nan"), float("inf")):
        assert is_problem(await wait(api, job_id, timeout), 400, "invalid-request"), timeout

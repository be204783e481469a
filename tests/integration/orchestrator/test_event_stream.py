"""Server-sent events: resumed by id without loss or doubling, and ended when the job has."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from services.kit.messages import LogLine, Task, TaskOutcome, now_at
from services.orchestrator.job_request import JobKind
from tests.integration.parts import Parts


async def followed(
    api: httpx.AsyncClient, job_id: str, *, after: str = "", until_id: int = 0
) -> list[ServerSentEvent]:
    """Events up to `end`, or up to that id."""
    headers = {"Last-Event-ID": after} if after else {}
    seen: list[ServerSentEvent] = []
    async with (
        asyncio.timeout(30),
        aconnect_sse(api, "GET", f"/v1/jobs/{job_id}/events", headers=headers) as source,
    ):
        assert source.response.headers["content-type"].startswith("text/event-stream")
        async for event in source.aiter_sse():
            seen.append(event)
            if event.event == "end" or (
                until_id and event.event in ("state", "log") and int(event.id) >= until_id
            ):
                break
    return seen


def numbered(events: list[ServerSentEvent]) -> list[int]:
    return [event.json()["seq"] for event in events if event.event in ("state", "log")]


async def logged(parts: Parts, task: Task, message: str) -> None:
    line = LogLine(task.job_id, task.run_id, task.task_id, "a", task.stage, "info", message, False, now_at())
    await parts.logbook.record(line, source_key=message)


async def test_a_finished_job_is_told_whole_and_ends(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.finish(job_id)
    events = await followed(api, job_id)
    assert numbered(events) == list(range(1, len(events)))
    assert events[-1].event == "end"
    assert events[-1].json() == {"state": "succeeded"}


async def test_a_follower_hears_what_happens_while_it_listens(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    following = asyncio.create_task(followed(api, job_id))
    await logged(parts, task, "found a face")
    await parts.finish(job_id)
    events = await following
    messages = [e.json()["message"] for e in events if e.event == "log"]
    assert messages == ["found a face"]
    assert events[-1].json() == {"state": "succeeded"}


async def test_a_cut_connection_resumes_without_loss_or_doubling(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    for number in range(5):
        await logged(parts, task, f"line {number}")
    first = await followed(api, job_id, until_id=4)
    for number in range(5, 9):
        await logged(parts, task, f"line {number}")
    await parts.jobs.cancel(job_id)
    rest = await followed(api, job_id, after=first[-1].id)
    assert numbered(first) + numbered(rest) == list(range(1, 2 + 9 + 2 + 1))
    assert rest[-1].event == "end"


async def test_a_long_story_is_told_whole(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.jobs.cancel(job_id)
    await parts.rows(
        "INSERT INTO job_events (job_id, seq, type, payload) "
        "SELECT %s, n, 'log', '{}' FROM generate_series(5, 1304) AS n",
        job_id,
    )
    assert numbered(await followed(api, job_id)) == list(range(1, 1305))


async def test_a_thousand_events_over_twenty_connections_come_once_each(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)

    async def talk() -> None:
        for number in range(1_000):
            await logged(parts, task, f"line {number}")
        await parts.jobs.cancel(job_id)

    talking = asyncio.create_task(talk())
    heard: list[int] = []
    for connection in range(1, 21):
        after = str(heard[-1]) if heard else ""
        heard += numbered(await followed(api, job_id, after=after, until_id=50 * connection))
    await talking
    assert heard[:1000] == list(range(1, len(heard) + 1))[:1000]
    rest = await followed(api, job_id, after=str(heard[-1]))
    (job,) = await parts.rows("SELECT seq FROM jobs")
    assert heard + numbered(rest) == list(range(1, job["seq"] + 1))
    assert rest[-1].event == "end"
    assert job["seq"] > 1_000


async def test_two_followers_hear_the_same(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    both = [asyncio.create_task(followed(api, job_id)) for _ in range(2)]
    await parts.finish(job_id)
    first, second = [numbered(await one) for one in both]
    assert first == second


async def test_a_failure_is_told_with_its_reason_before_the_end(api: httpx.AsyncClient, parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    await parts.report(
        task, attempt_id, TaskOutcome.REJECTED, error_code="invalid-media", error_message="no video"
    )
    events = await followed(api, job_id)
    reasons: list[dict[str, Any]] = [e.json() for e in events if e.event == "state"]
    assert reasons[-1]["reason"] == "no video"
    assert events[-1].json() == {"state": "failed"}


async def test_events_of_nobody_are_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/jobs/nobody/events")).status_code == 404

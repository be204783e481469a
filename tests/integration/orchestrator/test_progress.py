"""Progress over HTTP: a reload and a restart of the orchestrator take nothing back."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from services.kit import bus
from services.kit.codec import encode
from services.kit.messages import MediaInfo, Progress, Task
from services.orchestrator.job_request import JobKind
from services.pb.screenalytics.stage.v1 import stage_pb2
from tests.integration.orchestrator.conftest import Serve
from tests.integration.parts import Parts, until

START = datetime(2026, 1, 1, tzinfo=UTC)
# 300 frames at 25 fps; the segments of the made plan are of 100, 100 and 100 ticks of 1/25 s.
INFO = MediaInfo(640, 360, 25, 1, 12.0, "h264", 1, 25, 300, first_pts=0)


async def say(parts: Parts, task: Task, done: float, *, at_s: float, generation: int = 1) -> None:
    at = (START + timedelta(seconds=at_s)).isoformat()
    progress = Progress(
        task.job_id,
        task.run_id,
        task.task_id,
        "a1",
        generation,
        task.stage,
        "detect",
        done,
        100,
        "frames",
        at,
    )
    await parts.nc.publish(bus.progress_subject(task.job_id), encode(progress))
    await parts.nc.flush()


async def segments(parts: Parts) -> list[Task]:
    """The claimed segments of a job on a video of 300 frames."""
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.do(await parts.task(job_id), media_info=INFO)
    tasks = await parts.tasks(job_id)
    for task in tasks:
        await parts.claim(task)
    return tasks


async def shown(api: httpx.AsyncClient, job_id: str, done: float) -> dict[str, Any]:
    """The run's progress as soon as so many frames are done."""

    async def there() -> dict[str, Any] | None:
        progress = (await api.get(f"/v1/jobs/{job_id}")).json()["stages"][0]["progress"]
        return progress if progress and progress["done"] == done else None

    return dict(await until(there))


async def events(
    api: httpx.AsyncClient, job_id: str, count: int, kind: str, *, after: str = "0"
) -> list[ServerSentEvent]:
    """The first events of that kind."""
    found: list[ServerSentEvent] = []
    headers = {"Last-Event-ID": after}
    async with (
        asyncio.timeout(30),
        aconnect_sse(api, "GET", f"/v1/jobs/{job_id}/events", headers=headers) as source,
    ):
        async for event in source.aiter_sse():
            found += [event] if event.event == kind else []
            if len(found) == count:
                break
    return found


async def test_frames_of_all_segments_are_shown_with_their_rate_and_the_time_left(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    first, second, _ = await segments(parts)
    for at_s in (1, 2):
        await say(parts, first, 20 * at_s, at_s=at_s)
        await say(parts, second, 10 * at_s, at_s=at_s)
        progress = await shown(api, first.job_id, 30 * at_s)
    assert (progress["phase"], progress["total"], progress["unit"]) == ("detect", 300, "frames")
    assert progress["fps"] == 30
    assert progress["eta_s"] == 240 / 30


async def test_a_new_subscriber_gets_the_last_snapshot_though_nothing_moves(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    task, *_ = await segments(parts)
    await say(parts, task, 60, at_s=1)
    await shown(api, task.job_id, 60)
    for _ in range(2):
        (snapshot,) = await events(api, task.job_id, 1, "progress")
        assert (snapshot.json()["done"], snapshot.json()["stage"]) == (60, "detect_track")


async def test_a_restart_goes_on_where_it_was_with_the_rate_it_knew(serve_api: Serve, parts: Parts) -> None:
    task, *_ = await segments(parts)
    async with serve_api() as api:
        for at_s in (1, 2, 3):
            await say(parts, task, 20 * at_s, at_s=at_s)
            before = await shown(api, task.job_id, 20 * at_s)
        states = await events(api, task.job_id, 2, "state")
    async with serve_api() as api:
        assert await shown(api, task.job_id, 60) == before
        await say(parts, task, 40, at_s=3.5)  # one that comes late takes nothing back
        await say(parts, task, 80, at_s=4)
        after = await shown(api, task.job_id, 80)
        assert after["fraction"] > before["fraction"]
        assert after["fps"] is not None
        assert 15 < after["fps"] < 30
        (following,) = await events(api, task.job_id, 1, "state", after=states[-1].id)
        assert int(following.id) == int(states[-1].id) + 1


async def test_what_a_replaced_attempt_still_says_is_not_shown(api: httpx.AsyncClient, parts: Parts) -> None:
    task, *_ = await segments(parts)
    await say(parts, task, 60, at_s=1)
    await shown(api, task.job_id, 60)
    await parts.claim(task)
    await say(parts, task, 5, at_s=2, generation=2)
    await shown(api, task.job_id, 5)
    await say(parts, task, 90, at_s=3)
    await say(parts, task, 10, at_s=4, generation=2)
    await shown(api, task.job_id, 10)


async def test_figures_that_are_none_are_lost_and_the_next_ones_are_shown(
    api: httpx.AsyncClient, parts: Parts
) -> None:
    task, other, _ = await segments(parts)
    for done in (math.nan, math.inf, -math.inf):
        odd = stage_pb2.Progress(
            job_id=task.job_id,
            task_id=task.task_id,
            generation=1,
            stage=task.stage,
            done=done,
            total=100,
            at=START.isoformat(),
        )
        await parts.nc.publish(bus.progress_subject(task.job_id), odd.SerializeToString())
    await say(parts, other, 30, at_s=2)
    await shown(api, other.job_id, 30)
    assert (await api.get("/livez")).status_code == 200

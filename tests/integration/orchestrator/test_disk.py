"""A store that has no room refuses with figures: the upload, and the job whose video is known."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.kit.errors import InsufficientDisk
from services.kit.messages import MediaInfo
from services.kit.settings import DiskSettings
from services.orchestrator.http_api import problems
from services.orchestrator.job_request import JobKind
from services.orchestrator.job_view import JobFilter
from services.orchestrator.paging import PageRequest
from tests.integration.parts import VIDEO, Parts

FULL = DiskSettings(reserve_bytes=1 << 60)
INFO = MediaInfo(1920, 1080, 25, 1, 3600.0, "h264", time_base_num=1, time_base_den=25, frames=90_000)


async def planned(parts: Parts) -> None:
    """An episode whose video has been looked into, and a job that was cancelled then."""
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.do(await parts.task(job_id), media_info=INFO)
    await parts.jobs.cancel(job_id)


async def test_a_job_that_would_not_fit_is_refused_with_the_figures(parts: Parts) -> None:
    await planned(parts)
    with pytest.raises(InsufficientDisk) as caught:
        await parts.limited(disk=FULL).submit(JobKind.PIPELINE, overrides={"save_frames": True})
    assert int(caught.value.extras["needed_bytes"]) > 5e9
    assert caught.value.extras["free_bytes"] == 0
    assert problems.problem(caught.value).status_code == 507
    running = await parts.records.job_page(JobFilter("show", active=True), PageRequest())
    assert running.items == []
    await parts.submit(JobKind.PIPELINE)


async def test_what_is_reused_takes_no_room(parts: Parts) -> None:
    await parts.upload()
    await parts.finished(result={"media_info": INFO})
    job = await parts.records.job(await parts.limited(disk=FULL).submit())
    assert job["reused"]


async def test_the_check_can_be_turned_off(parts: Parts) -> None:
    await planned(parts)
    await parts.limited(disk=DiskSettings(check=False, reserve_bytes=1 << 60)).submit()


async def test_of_a_video_that_nobody_has_looked_into_nothing_can_be_said(parts: Parts) -> None:
    await parts.upload()
    await parts.limited(disk=FULL).submit()


async def test_an_upload_that_announces_more_than_fits_is_refused_before_it_comes(parts: Parts) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(InsufficientDisk):
        await parts.limited(disk=FULL).episodes.register(
            unread(), filename="a.mp4", ep_id=None, replace=False, size_bytes=len(VIDEO)
        )

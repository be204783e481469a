"""What a submitter chose about the place of execution stays with the job, its marker and its episode."""

from __future__ import annotations

import json

import httpx
import pytest

from services.orchestrator.job_request import ExecutionMode, ExecutionPlace, JobKind
from tests.integration.orchestrator.test_http import is_problem, submit, upload
from tests.integration.parts import Parts

CHOICE = {"execution_mode": "auto", "execution_place": "local"}


async def test_the_choice_is_shown_by_the_job_its_marker_and_its_episode(parts: Parts) -> None:
    uid = await parts.upload()
    job_id = await parts.submit(
        JobKind.DETECT_TRACK, execution_mode=ExecutionMode.AUTO, execution_place=ExecutionPlace.LOCAL
    )
    await parts.finish(job_id)
    await parts.markers.write_missing()
    marker = json.loads(parts.store.get_bytes(f"{uid}/runs/detect_track.json"))
    status = await parts.records.status(await parts.episodes.get("show"))
    for shown in (await parts.records.job(job_id), marker, status):
        assert {name: shown[name] for name in CHOICE} == CHOICE


async def test_an_episode_shows_the_newest_choice_that_was_told(parts: Parts) -> None:
    await parts.upload()
    place = {"execution_mode": ExecutionMode.REMOTE, "execution_place": ExecutionPlace.REMOTE}
    await parts.finish(await parts.submit(JobKind.DETECT_TRACK, **place))
    await parts.finish(await parts.submit(JobKind.DETECT_TRACK))
    status = await parts.records.status(await parts.episodes.get("show"))
    assert status["execution_mode"] == "remote"


async def test_without_a_choice_there_is_none_to_show(api: httpx.AsyncClient) -> None:
    await upload(api)
    job = (await submit(api)).json()
    assert (job["execution_mode"], job["execution_place"]) == (None, None)


@pytest.mark.parametrize("field", list(CHOICE))
async def test_a_choice_that_nobody_knows_is_refused(api: httpx.AsyncClient, field: str) -> None:
    await upload(api)
    assert is_problem(await submit(api, **{field: "elsewhere"}), 400, "invalid-request")

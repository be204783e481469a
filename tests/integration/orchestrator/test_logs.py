"""A job's log: kept whatever became of the job, each line once, noise tagged, forgotten in time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.kit import bus
from services.kit.codec import encode
from services.kit.messages import LogLine, Task, TaskOutcome, now_at
from services.orchestrator.endings import end_tasks
from services.orchestrator.job_request import JobKind
from services.orchestrator.log_retention import LogRetention
from tests.integration.parts import Parts, until


def line(task: Task, number: int, message: str, *, attempt: str = "a1", level: str = "info") -> LogLine:
    return LogLine(
        task.job_id, task.run_id, task.task_id, attempt, task.stage, level, message, False, now_at(), number
    )


async def keep(parts: Parts, *lines: LogLine) -> None:
    for one in lines:
        await parts.logbook.record(one, source_key=f"{one.attempt_id}.{one.line}")


async def messages(parts: Parts, job_id: str, *, quiet: bool = False, after: int = 0) -> list[str]:
    rows = await parts.records.logs(job_id, after=after, quiet=quiet, limit=1000)
    return [row["payload"]["message"] for row in rows]


@pytest.fixture
async def task(parts: Parts) -> Task:
    return await parts.task(await parts.submitted(JobKind.DETECT_TRACK))


async def test_a_line_is_known_by_its_attempt_and_number(parts: Parts, task: Task) -> None:
    js, subject = parts.nc.jetstream(), bus.log_subject(task.job_id)
    for one in (
        line(task, 1, "same words"),
        line(task, 2, "same words"),
        line(task, 1, "same words"),
        line(task, 1, "same words", attempt="a2"),
        line(task, 3, "last"),
    ):
        await js.publish(subject, encode(one))
    running = asyncio.create_task(parts.logbook.run())

    async def last_is_kept() -> bool:
        return "last" in await messages(parts, task.job_id)

    await until(last_is_kept)
    await end_tasks([running])
    rows = await parts.records.logs(task.job_id, after=0, quiet=False, limit=9)
    assert [(r["payload"]["attempt_id"], r["payload"]["line"]) for r in rows] == [
        ("a1", 1),
        ("a1", 2),
        ("a2", 1),
        ("a1", 3),
    ]


async def test_noise_is_kept_and_tagged_and_left_out_of_the_quiet_log(
    api: httpx.AsyncClient, parts: Parts, task: Task
) -> None:
    noise = "decoder: [h264 @ 0x55d0] error while decoding MB 4 2"
    await keep(parts, line(task, 1, "two faces"), line(task, 2, noise, level="warning"), line(task, 3, "done"))
    path = f"/v1/jobs/{task.job_id}/logs"
    quiet = (await api.get(path)).json()["lines"]
    assert [one["message"] for one in quiet] == ["two faces", "done"]
    loud: list[dict[str, Any]] = (await api.get(path, params={"quiet": False})).json()["lines"]
    assert [(one["is_noisy"], one["noise_rule"]) for one in loud] == [
        (False, None),
        (True, "decoder"),
        (False, None),
    ]


async def test_a_log_is_read_page_by_page(api: httpx.AsyncClient, parts: Parts, task: Task) -> None:
    await keep(parts, *(line(task, number, f"line {number}") for number in range(1, 8)))
    path, seen, after = f"/v1/jobs/{task.job_id}/logs", [], 0
    while True:
        answer = (await api.get(path, params={"after": after, "limit": 3})).json()
        if not answer["lines"]:
            break
        seen += [one["message"] for one in answer["lines"]]
        after = answer["next_after"]
    assert seen == [f"line {number}" for number in range(1, 8)]
    assert (await api.get(path, params={"after": after})).json() == {"lines": [], "next_after": after}


async def test_bad_questions_are_problems(api: httpx.AsyncClient, task: Task) -> None:
    for params in ({"after": -1}, {"after": 2**63}, {"limit": 0}, {"quiet": "maybe"}):
        answer = await api.get(f"/v1/jobs/{task.job_id}/logs", params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request"), params
    assert (await api.get("/v1/jobs/nobody/logs")).status_code == 404


async def test_a_log_outlives_success_failure_and_cancel(parts: Parts) -> None:
    await parts.upload()
    for ending in ("succeeded", "failed", "cancelled"):
        job_id = await parts.submit(JobKind.DETECT_TRACK, force=True)
        task = await parts.task(job_id)
        attempt_id, _ = await parts.claim(task)
        await keep(parts, line(task, 1, f"it {ending}", attempt=attempt_id))
        match ending:
            case "succeeded":
                await parts.finish(job_id)
            case "failed":
                await parts.report(task, attempt_id, TaskOutcome.REJECTED, error_code="stage-failed")
            case _:
                await parts.jobs.cancel(job_id)
        assert (await parts.states(job_id))[0] == ending
        await keep(parts, line(task, 2, "a late line", attempt=attempt_id))
        found = await messages(parts, job_id)
        assert (found[0], found[-1]) == (f"it {ending}", "a late line")


async def test_a_crash_is_told_by_the_attempt_that_follows(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await keep(parts, line(task, 1, "about to crash", attempt=attempt_id))
    await parts.claim(task)
    first, second = await messages(parts, task.job_id, quiet=True)
    assert first == "about to crash"
    assert second.startswith("attempt 2 of plan begins on ")
    assert "died without a word" in second


async def test_old_lines_are_forgotten_and_younger_ones_and_states_are_not(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await keep(parts, line(task, 1, "old"), line(task, 2, "older"))
    await parts.report(task, attempt_id, TaskOutcome.RETRY, log_tail=("old words",))
    await parts.rows("UPDATE job_events SET at = at - interval '31 days'")
    await parts.rows("UPDATE attempts SET closed_at = closed_at - interval '31 days'")
    await keep(parts, line(task, 3, "young"))
    assert await LogRetention(parts.database, 30).forget() == 2
    assert await messages(parts, task.job_id) == ["young"]
    assert await parts.rows("SELECT log_tail FROM attempts") == [{"log_tail": []}]
    kept = await parts.rows("SELECT 1 FROM job_events WHERE type = 'state'")
    assert len(kept) == 4
    assert await LogRetention(parts.database, 30).forget() == 0

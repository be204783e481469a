"""When a task gets no further attempt, and what is told of it then."""

from __future__ import annotations

import pytest

from services.kit import bus
from services.kit.codec import encode
from services.kit.messages import Decision, Heartbeat, LogLine, Task, TaskOutcome, WorkerState, now_at
from services.orchestrator.job_request import JobKind
from services.orchestrator.registry import WorkerRegistry
from services.orchestrator.settings import JobsSettings
from tests.integration.parts import Parts, result_of


@pytest.fixture
async def task(parts: Parts) -> Task:
    """One that has a single attempt."""
    await parts.upload()
    job_id = await parts.limited(jobs=JobsSettings(max_attempts=1)).submit(JobKind.DETECT_TRACK)
    return await parts.task(job_id)


async def beats(parts: Parts, task_id: str) -> None:
    """The worker of `parts.claim` says what it works on."""
    beat = Heartbeat("a worker", "detect_track", WorkerState.BUSY, "cpu", "cpu", now_at(), task_id=task_id)
    await WorkerRegistry(parts.nc, parts.database).record(beat)


async def letters(parts: Parts, task: Task) -> list[dict[str, object]]:
    return await parts.records.dead_letters(task.job_id)


async def test_a_task_is_not_dead_while_its_last_attempt_is_in_work(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await beats(parts, task.task_id)
    await parts.rows("UPDATE attempts SET created_at = created_at - interval '1 hour'")
    assert (await parts.claim(task))[1].decision is Decision.WAIT
    await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED)
    assert await letters(parts, task) == []


async def test_a_worker_that_has_gone_on_to_other_work_keeps_no_task_alive(parts: Parts, task: Task) -> None:
    await parts.claim(task)
    await beats(parts, "another task")
    await parts.rows("UPDATE attempts SET created_at = created_at - interval '1 hour'")
    assert (await parts.claim(task))[1].decision is Decision.DEAD


async def test_an_attempt_handed_back_in_a_result_that_is_not_read_yet_kills_no_task(
    parts: Parts, task: Task
) -> None:
    attempt_id, _ = await parts.claim(task)
    given = result_of(task, attempt_id, TaskOutcome.HANDED_BACK)
    js = parts.nc.jetstream()
    await js.publish(bus.result_subject(task.job_id), encode(given))
    assert (await parts.claim(task))[1].decision is Decision.WAIT
    await parts.results.apply(given)
    await js.purge_stream(bus.RESULTS_STREAM)
    assert (await parts.claim(task))[1].decision is Decision.RUN


async def test_a_dead_letter_tells_what_a_worker_logged_before_it_died(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    line = LogLine(
        task.job_id, task.run_id, task.task_id, attempt_id, task.stage, "info", "frame 9", False, now_at()
    )
    await parts.logbook.record(line, source_key="1")
    await parts.claim(task)
    (letter,) = await letters(parts, task)
    assert (letter["attempts"], letter["worker_id"], letter["kind"]) == (1, "a worker", "plan")
    assert "died without a word" in str(letter["reason"])
    assert "frame 9" in str(letter["log_tail"])


@pytest.mark.parametrize("outcome", [TaskOutcome.RETRY, TaskOutcome.REJECTED])
async def test_a_dead_letter_tells_the_reason_and_the_attempts_own_last_lines(
    parts: Parts, task: Task, outcome: TaskOutcome
) -> None:
    attempt_id, _ = await parts.claim(task)
    fields = {"error_code": "stage-failed", "error_message": "the disk is full", "log_tail": ("wrote a half",)}
    await parts.report(task, attempt_id, outcome, **fields)
    (letter,) = await letters(parts, task)
    assert "the disk is full" in str(letter["reason"])
    assert letter["log_tail"] == ["wrote a half"]


async def test_a_claim_asked_again_after_its_task_is_done_is_dropped(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED)
    assert (await parts.claim(task, attempt_id))[1].decision is Decision.DROP

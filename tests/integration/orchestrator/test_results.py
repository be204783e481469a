"""Results: which count, which are fenced, and what follows."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from services.kit.artifacts import ArtifactKind
from services.kit.errors import InvalidRequest, ZeroRows
from services.kit.messages import Execution, MediaInfo, Task, TaskOutcome, TaskResult
from services.orchestrator.job_request import JobKind
from services.orchestrator.results import Verdict
from services.orchestrator.settings import JobsSettings
from tests.integration.parts import SEGMENTS, Parts, refs, result_of, success_of

INFO = MediaInfo(640, 360, 25, 1, 4.0, "h264", 1, 12800, 100, first_pts=0)


@pytest.fixture
async def job_id(parts: Parts) -> str:
    return await parts.submitted(JobKind.DETECT_TRACK)


@pytest.fixture
async def task(parts: Parts, job_id: str) -> Task:
    return await parts.task(job_id)


def fenced(stage: str = "detect_track") -> float:
    return REGISTRY.get_sample_value("screenalytics_fenced_results_total", {"stage": stage}) or 0.0


async def attempts(parts: Parts) -> list[tuple[str, int]]:
    rows = await parts.rows(
        "SELECT a.state, t.attempts FROM attempts a JOIN tasks t USING (task_id) ORDER BY a.generation"
    )
    return [(row["state"], row["attempts"]) for row in rows]


async def test_a_success_from_an_older_attempt_of_a_live_task_is_accepted(parts: Parts, task: Task) -> None:
    older, _ = await parts.claim(task)
    await parts.claim(task)
    assert await parts.report(task, older, TaskOutcome.SUCCEEDED, segments=SEGMENTS) is Verdict.ACCEPTED
    assert len(await parts.tasks(task.job_id)) == 3


async def test_of_two_successes_the_second_is_fenced_and_counted(parts: Parts, task: Task) -> None:
    older, _ = await parts.claim(task)
    newer, _ = await parts.claim(task)
    await parts.report(task, newer, TaskOutcome.SUCCEEDED, segments=SEGMENTS)
    before = fenced()
    assert await parts.report(task, older, TaskOutcome.SUCCEEDED, segments=SEGMENTS[:1]) is Verdict.FENCED
    assert fenced() == before + 1
    assert len(await parts.tasks(task.job_id)) == 3


@pytest.mark.parametrize("outcome", [TaskOutcome.REJECTED, TaskOutcome.RETRY])
async def test_a_failure_from_an_older_attempt_is_fenced(
    parts: Parts, task: Task, outcome: TaskOutcome
) -> None:
    older, _ = await parts.claim(task)
    newer, _ = await parts.claim(task)
    verdict = await parts.report(task, older, outcome, error_code="stage-failed", error_message="late")
    assert verdict is Verdict.FENCED
    assert (await parts.states(task.job_id))[0] == "running"
    assert await parts.report(task, newer, TaskOutcome.SUCCEEDED, segments=SEGMENTS) is Verdict.ACCEPTED


async def test_the_same_result_twice_is_a_duplicate_and_does_nothing(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    result = result_of(task, attempt_id, TaskOutcome.SUCCEEDED, segments=SEGMENTS)
    assert await parts.results.apply(result) is Verdict.ACCEPTED
    before = await parts.rows("SELECT * FROM job_events"), await parts.rows("SELECT * FROM tasks")
    assert await parts.results.apply(result) is Verdict.DUPLICATE
    assert (await parts.rows("SELECT * FROM job_events"), await parts.rows("SELECT * FROM tasks")) == before


async def test_the_same_result_at_once_is_accepted_once(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    result = result_of(task, attempt_id, TaskOutcome.SUCCEEDED, segments=SEGMENTS)
    verdicts = await asyncio.gather(*(parts.results.apply(result) for _ in range(6)))
    assert sorted(verdicts) == [Verdict.ACCEPTED] + [Verdict.DUPLICATE] * 5


async def test_a_success_after_cancel_is_fenced_and_counted(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await parts.jobs.cancel(task.job_id)
    before = fenced()
    assert await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED, segments=SEGMENTS) is Verdict.FENCED
    assert fenced() == before + 1
    assert await parts.states(task.job_id) == ("cancelled", ["cancelled"])
    assert await parts.tasks(task.job_id) == []


async def test_an_attempt_of_a_cancelled_job_is_closed_when_its_worker_lets_go(
    parts: Parts, task: Task
) -> None:
    attempt_id, _ = await parts.claim(task)
    await parts.jobs.cancel(task.job_id)
    assert await parts.rows("SELECT 1 FROM attempts WHERE state = 'open'")
    await parts.report(task, attempt_id, TaskOutcome.HANDED_BACK)
    assert await parts.rows("SELECT 1 FROM attempts WHERE state = 'open'") == []


async def test_a_result_of_nobody_knows_what_is_fenced(parts: Parts) -> None:
    result = TaskResult("j", "r", "t", "a", "w", TaskOutcome.SUCCEEDED)
    before = fenced("unknown")
    assert await parts.results.apply(result) is Verdict.FENCED
    assert fenced("unknown") == before + 1


async def test_an_attempt_handed_back_does_not_count(parts: Parts, task: Task) -> None:
    for _ in range(2 * JobsSettings().max_attempts):
        attempt_id, reply = await parts.claim(task)
        assert reply.decision == "run"
        assert await parts.report(task, attempt_id, TaskOutcome.HANDED_BACK) is Verdict.ACCEPTED
    assert set(await attempts(parts)) == {("handed_back", 0)}
    assert (await parts.claim(task))[1].generation == 2 * JobsSettings().max_attempts + 1


async def test_an_attempt_handed_back_twice_gives_back_once(parts: Parts, task: Task) -> None:
    await parts.claim(task)
    attempt_id, _ = await parts.claim(task)
    for _ in range(3):
        await parts.report(task, attempt_id, TaskOutcome.HANDED_BACK)
    assert (await attempts(parts))[0] == ("open", 1)


async def test_retries_end_when_the_attempts_are_used_up(parts: Parts, task: Task) -> None:
    for number in range(JobsSettings().max_attempts):
        assert (await parts.states(task.job_id))[0] != "failed"
        attempt_id, _ = await parts.claim(task)
        await parts.report(task, attempt_id, TaskOutcome.RETRY, error_message=f"fault {number}")
    assert await parts.states(task.job_id) == ("failed", ["failed"])
    error = (await parts.records.job(task.job_id))["error"]
    assert error["code"] == "stage-failed"
    assert "fault 3" in error["message"]


async def test_a_rejection_fails_the_job_with_its_code_and_cancels_what_waits(parts: Parts) -> None:
    job_id = await parts.submitted()
    task = await parts.task(job_id)
    attempt_id, _ = await parts.claim(task)
    await parts.report(
        task, attempt_id, TaskOutcome.REJECTED, error_code="invalid-media", error_message="no video stream"
    )
    assert await parts.states(job_id) == ("failed", ["failed", "cancelled", "cancelled"])
    job = await parts.records.job(job_id)
    assert job["error"] == {"code": "invalid-media", "message": "no video stream"}
    assert job["stages"][0]["error"] == job["error"]
    assert await parts.submit() != job_id


async def test_a_rejected_segment_takes_its_siblings_along(parts: Parts, task: Task) -> None:
    await parts.do(task)
    first, *others = await parts.tasks(task.job_id)
    attempt_id, _ = await parts.claim(first)
    other_attempt, _ = await parts.claim(others[0])
    await parts.report(first, attempt_id, TaskOutcome.REJECTED, error_code="invalid-media", error_message="x")
    assert await parts.tasks(task.job_id) == []
    verdict = await parts.report(others[0], other_attempt, TaskOutcome.SUCCEEDED, **success_of(others[0]))
    assert verdict is Verdict.FENCED


@pytest.mark.parametrize("round_", range(5))
async def test_segments_that_end_at_once_are_stitched_exactly_once(
    parts: Parts, task: Task, round_: int
) -> None:
    await parts.do(task)
    segments = await parts.tasks(task.job_id)
    claimed = [(segment, (await parts.claim(segment))[0]) for segment in segments]
    results = [result_of(s, a, TaskOutcome.SUCCEEDED, **success_of(s)) for s, a in claimed]
    await parts.results.apply(results[round_ % 3])
    last_two = [r for i, r in enumerate(results) if i != round_ % 3]
    assert await asyncio.gather(*map(parts.results.apply, last_two)) == [Verdict.ACCEPTED] * 2
    (stitch,) = await parts.tasks(task.job_id)
    assert stitch.kind == "stitch"
    assert [ref.uri for ref in stitch.inputs] == [success_of(s)["outputs"][0].uri for s in segments]
    assert len(await parts.rows("SELECT 1 FROM outbox WHERE subject LIKE %s", f"%{stitch.task_id}")) == 1


async def test_a_segment_task_carries_its_segment_and_what_the_plan_learned(parts: Parts, task: Task) -> None:
    await parts.do(task, media_info=INFO)
    segments = await parts.tasks(task.job_id)
    assert [s.segment for s in segments] == list(SEGMENTS)
    assert {s.media_info for s in segments} == {INFO}


async def test_a_plan_without_a_first_pts_is_no_obstacle(parts: Parts, task: Task) -> None:
    unknown = MediaInfo(640, 360, 25, 1, 4.0, "h264", 1, 12800, 100)
    assert await parts.do(task, media_info=unknown) is Verdict.ACCEPTED
    assert (await parts.tasks(task.job_id))[0].media_info == unknown


async def test_a_pipeline_runs_its_stages_in_order_to_success(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.finish(job_id)
    assert await parts.states(job_id) == ("succeeded", ["succeeded"] * 3)
    episode = await parts.episodes.get("show")
    kinds = {row["kind"] for row in await parts.records.artifacts(episode)}
    assert kinds == {k for k in ArtifactKind if not k.startswith("segment_")} - {"frames", "crops"}
    assert len(await parts.rows("SELECT DISTINCT fingerprint FROM stage_runs")) == 3


async def test_counts_of_all_tasks_are_summed(parts: Parts, task: Task) -> None:
    await parts.do(task)
    await parts.finish(task.job_id, counts={"detections": 2})
    (run,) = (await parts.records.job(task.job_id))["stages"]
    assert run["counts"] == {"detections": 8}


async def test_zero_rows_skip_the_later_stages_and_the_job_succeeds(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.finish(job_id, counts={"detections": 0})
    assert await parts.states(job_id) == ("succeeded", ["succeeded", "skipped", "skipped"])
    detect, faces, _ = (await parts.records.job(job_id))["stages"]
    assert detect["zero_rows"]
    assert faces["skip_reason"] == "zero_rows"
    status = await parts.records.status(await parts.episodes.get("show"))
    assert status["phases"]["detect_track"]["zero_rows"]
    assert status["phases"]["faces_embed"]["status"] == "missing"


async def test_a_stage_after_zero_rows_must_be_acknowledged(parts: Parts) -> None:
    await parts.finish(await parts.submitted(), counts={"detections": 0})
    with pytest.raises(ZeroRows, match="acknowledge_zero_rows"):
        await parts.submit(JobKind.FACES_EMBED)
    job_id = await parts.submit(JobKind.FACES_EMBED, acknowledge_zero_rows=True)
    assert (await parts.task(job_id)).input_of("chips").rows == 1


async def test_a_pipeline_cannot_acknowledge_what_it_has_not_found_yet(parts: Parts) -> None:
    await parts.upload()
    with pytest.raises(InvalidRequest, match="one stage"):
        await parts.submit(JobKind.PIPELINE, acknowledge_zero_rows=True)


async def test_where_it_ran_stands_in_the_run(parts: Parts, task: Task) -> None:
    await parts.do(task)
    await parts.finish(task.job_id, execution=Execution("cuda", "cpu", thread_cap=2), warnings=("slow disk",))
    job = await parts.records.job(task.job_id)
    assert job["stages"][0]["resolved_device"] == "cpu"
    assert "slow disk" in job["warnings"]


async def test_a_result_for_an_episode_that_was_replaced_meanwhile_fails_the_job(
    parts: Parts, task: Task
) -> None:
    attempt_id, _ = await parts.claim(task)
    await parts.upload(content=b"\x00\x00\x00\x20ftypisom" + b"other" * 99, replace=True)
    await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED, segments=SEGMENTS)
    assert (await parts.states(task.job_id))[0] == "failed"


async def test_a_stage_that_ran_again_makes_the_later_ones_stale(parts: Parts) -> None:
    await parts.finish(await parts.submitted())
    episode = await parts.episodes.get("show")
    status = await parts.records.status(episode)
    assert (status["faces_stale"], status["cluster_stale"]) == (False, False)
    await parts.finish(await parts.submit(JobKind.DETECT_TRACK))
    status = await parts.records.status(episode)
    assert (status["faces_stale"], status["cluster_stale"]) == (True, True)
    assert status["phases"]["faces_embed"]["status"] == "stale"
    assert status["phases"]["detect_track"]["status"] == "success"


async def test_a_handler_that_names_one_kind_twice_cannot_stop_the_orchestrator(
    parts: Parts, task: Task
) -> None:
    attempt_id, _ = await parts.claim(task)
    doubled = refs(task, [ArtifactKind.SCENES]) * 2
    verdict = await parts.report(task, attempt_id, TaskOutcome.SUCCEEDED, outputs=doubled, segments=SEGMENTS)
    assert verdict is Verdict.ACCEPTED
    assert await parts.states(task.job_id) == ("failed", ["failed"])


async def test_a_result_that_postgres_has_no_form_for_fails_its_job(parts: Parts, task: Task) -> None:
    attempt_id, _ = await parts.claim(task)
    await parts.report(task, attempt_id, TaskOutcome.RETRY, error_message="a name with a \0 in it")
    assert await parts.states(task.job_id) == ("failed", ["failed"])

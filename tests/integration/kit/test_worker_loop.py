"""The worker loop against a real broker and a real orchestrator: what becomes of each outcome."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import AsyncExitStack
from typing import Any

import pytest
from nats.aio.msg import Msg

from services.kit import bus
from services.kit.attempt_runner import WorkerStalled
from services.kit.errors import AcceleratorUnavailable, InvalidMedia, StageFailed
from services.kit.inference.placement import Provider
from services.kit.stages import Outcome, Reject, Retry, Stage, TaskContext
from services.orchestrator.feed import JobFeed
from services.orchestrator.job_request import JobKind
from services.orchestrator.results import ResultConsumer
from services.orchestrator.settings import JobsSettings
from tests.integration.kit.conftest import RunningWorker, StartWorker
from tests.integration.kit.handlers import Held, work
from tests.integration.parts import Parts, until


async def ended(parts: Parts, job_id: str, within_s: float = 20) -> str:
    async def state() -> str | None:
        found, _ = await parts.states(job_id)
        return found if found in ("succeeded", "failed", "cancelled") else None

    return str(await until(state, within_s=within_s))


async def attempts(parts: Parts) -> list[dict[str, Any]]:
    return await parts.rows("SELECT state, error_message, log_tail FROM attempts ORDER BY created_at")


async def test_three_workers_run_a_pipeline_to_success(agents: Parts, start_worker: StartWorker) -> None:
    job_id = await agents.submitted()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(start_worker(work, stage=stage)) for stage in Stage]
        assert await ended(agents, job_id) == "succeeded"
        assert [
            w.metrics.registry.get_sample_value("screenalytics_worker_tasks_total", {"outcome": "succeeded"})
            for w in workers
        ] == [5, 1, 1]
    episode = await agents.episodes.get("show")
    for row in await agents.records.artifacts(episode):
        assert agents.store.exists(row["uri"]), row["kind"]
        assert row["uri"].startswith(f"{episode['episode_uid']}/")
    (run, *_) = (await agents.records.job(job_id))["stages"]
    assert run["resolved_device"] == "cpu"


async def test_what_a_handler_logs_stands_in_the_jobs_events(agents: Parts, start_worker: StartWorker) -> None:
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(work):
        await ended(agents, job_id)

        async def lines() -> set[str] | None:
            events = await agents.records.events(job_id, after=0)
            found = {e["payload"]["message"] for e in events if e["type"] == "log"}
            return found if len(found) == 5 else None

        assert "working on segment 2" in await until(lines)


async def test_what_libraries_warn_of_and_a_traceback_stand_there_too(
    agents: Parts, start_worker: StartWorker
) -> None:
    def broken(_: TaskContext) -> Outcome:
        logging.getLogger("alibrary").warning("[ WARN:0@1.2] a plugin is missing")
        raise ZeroDivisionError("a bug")

    await agents.upload()
    job_id = await agents.limited(jobs=JobsSettings(max_attempts=1)).submit(JobKind.DETECT_TRACK)
    async with start_worker(broken):
        assert await ended(agents, job_id) == "failed"

        async def lines() -> list[dict[str, Any]] | None:
            rows = await agents.records.logs(job_id, after=0, quiet=False, limit=9)
            return [row["payload"] for row in rows] if len(rows) == 2 else None

        noisy, traceback = await until(lines)
    assert (noisy["level"], noisy["noise_rule"], noisy["line"]) == ("warning", "opencv", 1)
    assert (traceback["level"], traceback["is_noisy"], traceback["line"]) == ("error", False, 2)
    assert "ZeroDivisionError: a bug" in traceback["message"]


async def test_a_queue_is_empty_once_its_work_is_done(agents: Parts, start_worker: StartWorker) -> None:
    job_id = await agents.submitted(JobKind.DETECT_TRACK)

    async def nothing_left() -> bool:
        js = agents.nc.jetstream()
        streams = [await js.stream_info(name) for name in (bus.TASKS_STREAM, bus.RESULTS_STREAM)]
        return all(stream.state.messages == 0 for stream in streams)

    async with start_worker(work):
        await ended(agents, job_id)
        await until(nothing_left)


async def test_an_attempt_leaves_no_scratch_whatever_its_end(agents: Parts, start_worker: StartWorker) -> None:
    def spill(context: TaskContext) -> Outcome:
        (context.scratch_dir / "half.parquet").write_bytes(b"half")
        return Reject("no")

    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(spill) as worker:
        assert await ended(agents, job_id) == "failed"
        assert list(worker.scratch_dir.iterdir()) == []


async def test_a_cancel_reaches_a_running_handler(agents: Parts, start_worker: StartWorker) -> None:
    held = Held()
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held):
        await until(held.is_entered)
        await agents.jobs.cancel(job_id)

        async def is_let_go() -> bool:
            return [a["state"] for a in await attempts(agents)] == ["fenced"]

        await until(is_let_go, within_s=3)
    assert await agents.states(job_id) == ("cancelled", ["cancelled"])


async def test_a_worker_is_free_again_after_a_cancel(agents: Parts, start_worker: StartWorker) -> None:
    held = Held()

    def first_held(context: TaskContext) -> Outcome:
        return work(context) if held.entered.is_set() else held(context)

    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(first_held):
        await until(held.is_entered)
        await agents.jobs.cancel(job_id)
        assert await ended(agents, await agents.submit(JobKind.DETECT_TRACK)) == "succeeded"


async def test_a_drain_hands_back_without_counting_an_attempt(agents: Parts, start_worker: StartWorker) -> None:
    held = Held()
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held, drain_grace_s=0.1) as worker:
        await until(held.is_entered)
        worker.stop.set()
        await worker.ended()

        async def is_handed_back() -> bool:
            return [a["state"] for a in await attempts(agents)] == ["handed_back"]

        await until(is_handed_back)
    assert await agents.rows("SELECT attempts FROM tasks") == [{"attempts": 0}]
    async with start_worker(work):
        assert await ended(agents, job_id) == "succeeded"


async def test_a_drain_waits_for_the_answer_to_a_claim_and_then_hands_back(
    agents: Parts, start_worker: StartWorker
) -> None:
    asked: list[Msg] = []

    async def say_nothing_sensible(message: Msg) -> None:
        asked.append(message)
        await message.respond(b"?")

    await agents.desk.stop()
    deaf = await agents.nc.subscribe(bus.CLAIM, cb=say_nothing_sensible)
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(work) as worker:

        async def is_asked() -> bool:
            return bool(asked)

        async def is_asked_again() -> bool:
            return len(asked) > before + 1

        await until(is_asked)
        worker.stop.set()
        before = len(asked)
        await until(is_asked_again)
        await deaf.unsubscribe()
        await agents.desk.start()
        await worker.ended()
    js = agents.nc.jetstream()
    consumer = await js.consumer_info(bus.TASKS_STREAM, bus.route_consumer(Stage.DETECT_TRACK, Provider.CPU))
    assert consumer.delivered is not None
    assert consumer.delivered.consumer_seq == 1
    async with start_worker(work):
        assert await ended(agents, job_id) == "succeeded"
    assert (await attempts(agents))[0]["state"] == "handed_back"


async def test_a_drain_lets_work_finish_that_needs_less_than_the_grace(
    agents: Parts, start_worker: StartWorker
) -> None:
    held = Held()
    await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(held) as worker:
        await until(held.is_entered)
        worker.stop.set()
        held.release.set()
        await worker.ended()

        async def is_done() -> bool:
            return [a["state"] for a in await attempts(agents)] == ["succeeded"]

        await until(is_done)


async def test_an_unexpected_exception_is_tried_again_and_then_fails_the_job(
    agents: Parts, start_worker: StartWorker
) -> None:
    def broken(context: TaskContext) -> Outcome:
        context.log("about to break")
        raise ZeroDivisionError("a bug")

    await agents.upload()
    job_id = await agents.limited(jobs=JobsSettings(max_attempts=2)).submit(JobKind.DETECT_TRACK)
    async with start_worker(broken):
        assert await ended(agents, job_id) == "failed"
    found = await attempts(agents)
    assert [a["state"] for a in found] == ["retry", "retry"]
    assert "about to break" in found[-1]["log_tail"][0]
    error = (await agents.records.job(job_id))["error"]
    assert error["code"] == "stage-failed"
    assert "ZeroDivisionError: a bug" in error["message"]


async def test_a_passing_fault_is_tried_again_and_the_job_succeeds(
    agents: Parts, start_worker: StartWorker
) -> None:
    tried = threading.Event()

    def flaky(context: TaskContext) -> Outcome:
        if not tried.is_set():
            tried.set()
            return Retry("the store was away", after_s=0.1)
        return work(context)

    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(flaky):
        assert await ended(agents, job_id) == "succeeded"


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidMedia("no video stream"), "invalid-media"), (StageFailed("x"), None)]
)
async def test_bad_media_is_rejected_at_once_and_a_failed_stage_is_not(
    agents: Parts, start_worker: StartWorker, error: Exception, code: str | None
) -> None:
    def refuse(_: TaskContext) -> Outcome:
        raise error

    await agents.upload()
    job_id = await agents.limited(jobs=JobsSettings(max_attempts=2)).submit(JobKind.DETECT_TRACK)
    async with start_worker(refuse):
        assert await ended(agents, job_id) == "failed"
    assert len(await attempts(agents)) == (1 if code else 2)
    assert (await agents.records.job(job_id))["error"]["code"] == (code or "stage-failed")


async def test_an_accelerator_that_vanishes_ends_the_worker(agents: Parts, start_worker: StartWorker) -> None:
    def vanished(_: TaskContext) -> Outcome:
        raise AcceleratorUnavailable("the GPU is gone")

    await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(vanished) as worker:
        with pytest.raises(AcceleratorUnavailable):
            await worker.ended()


async def test_a_handler_that_does_not_move_ends_the_worker(agents: Parts, start_worker: StartWorker) -> None:
    held = Held(ticks=False)
    await agents.upload()
    await agents.limited(jobs=JobsSettings(stall_s=0.3)).submit(JobKind.DETECT_TRACK)
    try:
        async with start_worker(held) as worker:
            with pytest.raises(WorkerStalled, match="has not moved"):
                await worker.ended()

            async def is_told() -> bool:
                return [a["state"] for a in await attempts(agents)] == ["retry"]

            await until(is_told)
            assert "has not moved" in (await attempts(agents))[0]["error_message"]
    finally:
        held.release.set()


async def test_a_worker_waits_for_an_orchestrator_that_is_away(
    parts: Parts, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    feed = JobFeed(parts.database.dsn, on_outbox=parts.relay.wake)
    running = [asyncio.create_task(parts.relay.run()), asyncio.create_task(feed.run())]

    async def has_asked() -> bool:
        return "no answer yet" in caplog.text

    async with start_worker(work):
        await until(has_asked)
        assert (await parts.states(job_id))[0] == "queued"
        await parts.desk.start()
        consumer = ResultConsumer(parts.nc, parts.database, parts.settings.jobs, parts.store)
        running.append(asyncio.create_task(consumer.run()))
        assert await ended(parts, job_id) == "succeeded"
    for task in running:
        task.cancel()


async def test_a_broker_that_lost_everything_loses_no_job(agents: Parts, start_worker: StartWorker) -> None:
    held = Held()

    def plan_held(context: TaskContext) -> Outcome:
        if context.task.kind == "plan":
            held(context)
        return work(context)

    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(plan_held):
        await until(held.is_entered)
        js = agents.nc.jetstream()
        for name in (bus.TASKS_STREAM, bus.RESULTS_STREAM, bus.LOGS_STREAM):
            await js.delete_stream(name)
        held.release.set()
        await agents.rows("UPDATE outbox SET created_at = created_at - interval '1 minute'")
        await agents.reaper.reap()
        assert await ended(agents, job_id) == "succeeded"


async def test_a_task_that_cannot_be_read_does_not_stop_the_others(
    agents: Parts, start_worker: StartWorker
) -> None:
    subject = f"{bus.PREFIX}.task.detect_track.cpu.nobody.nothing"
    await agents.nc.jetstream().publish(subject, b"\xff\xff")
    job_id = await agents.submitted(JobKind.DETECT_TRACK)
    async with start_worker(work):
        assert await ended(agents, job_id) == "succeeded"


def readiness(worker: RunningWorker) -> str | None:
    return worker.worker.readiness_fault()


async def test_a_worker_is_ready_while_it_works_and_not_while_it_drains(
    agents: Parts, start_worker: StartWorker
) -> None:
    assert agents.nc.is_connected
    async with start_worker() as worker:
        assert readiness(worker) is None
        assert worker.worker.liveness_fault() is None
        worker.stop.set()
        await worker.ended()
        assert readiness(worker) == "draining"

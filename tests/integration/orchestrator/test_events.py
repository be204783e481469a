"""The event stream of a job: numbered without gaps, lines kept once, reloads lose nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from services.kit import bus
from services.kit.codec import encode
from services.kit.messages import LogLine, Progress, Task, now_at
from services.orchestrator.feed import JobFeed
from services.orchestrator.job_request import JobKind
from services.orchestrator.progress import ProgressBoard
from tests.integration.parts import Parts, until


def line(task: Task, message: str = "hello") -> LogLine:
    return LogLine(task.job_id, task.run_id, task.task_id, "a", task.stage, "info", message, False, now_at())


async def sequence(parts: Parts, job_id: str) -> list[int]:
    rows = await parts.rows("SELECT seq FROM job_events WHERE job_id = %s ORDER BY seq", job_id)
    return [row["seq"] for row in rows]


def without_gaps(sequence: list[int]) -> bool:
    return sequence == list(range(1, len(sequence) + 1))


async def test_a_finished_job_tells_every_move_in_order(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.finish(job_id)
    events = await parts.records.events(job_id, after=0)
    assert without_gaps([event["seq"] for event in events])
    of_job = [e["payload"]["state"] for e in events if e["stage"] is None]
    assert of_job == ["queued", "running", "succeeded"]
    of_cluster = [e["payload"]["state"] for e in events if e["stage"] == "cluster"]
    assert of_cluster == ["queued", "running", "succeeded"]


async def test_writers_at_once_leave_no_gap_and_no_double(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    lines = [parts.logbook.record(line(task, f"{i}"), source_key=f"k{i}") for i in range(30)]
    await asyncio.gather(*lines, parts.claim(task))
    found = await sequence(parts, job_id)
    assert without_gaps(found)
    assert len(found) == 2 + 30 + 2


async def test_a_line_that_is_delivered_twice_is_kept_once_and_takes_no_number(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    same = line(task)
    await asyncio.gather(*(parts.logbook.record(same, source_key="one") for _ in range(5)))
    await parts.logbook.record(line(task, "after"), source_key="two")
    events = [e for e in await parts.records.events(job_id, after=0) if e["type"] == "log"]
    assert [e["payload"]["message"] for e in events] == ["hello", "after"]
    assert without_gaps(await sequence(parts, job_id))


async def test_a_line_of_no_job_is_dropped(parts: Parts) -> None:
    orphan = LogLine("nobody", "r", "t", "a", "cluster", "info", "m", False, now_at())
    await parts.logbook.record(orphan, source_key="k")
    assert await parts.rows("SELECT 1 FROM job_events") == []


async def test_lines_come_from_the_broker_and_an_unreadable_one_stops_nothing(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task, js = await parts.task(job_id), parts.nc.jetstream()
    await js.publish(bus.log_subject(job_id), b"\xff\xff")
    await js.publish(bus.log_subject(job_id), encode(line(task, "a name with a \0 in it")))
    await js.publish(bus.log_subject(job_id), encode(line(task, "last")))
    running = asyncio.create_task(parts.logbook.run())

    async def last_is_kept() -> bool:
        events = await parts.records.events(job_id, after=0)
        return any(e["payload"].get("message") == "last" for e in events)

    try:
        await until(last_is_kept)
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_notification_wakes_whoever_watches_that_job_alone(parts: Parts) -> None:
    outbox = asyncio.Event()
    feed = JobFeed(parts.database.dsn, on_outbox=outbox.set)
    running = asyncio.create_task(feed.run())
    await asyncio.wait_for(outbox.wait(), 10)  # it listens
    outbox.clear()
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await asyncio.wait_for(outbox.wait(), 10)
    with feed.watching(job_id) as mine, feed.watching("another") as another:
        await parts.claim(await parts.task(job_id))
        await asyncio.wait_for(mine.wait(), 10)
        assert not another.is_set()
    running.cancel()


def progress(
    task: Task, done: float, *, generation: int = 1, phase: str = "decode", attempt: str = "a1"
) -> Progress:
    return Progress(
        task.job_id,
        task.run_id,
        task.task_id,
        attempt,
        generation,
        task.stage,
        phase,
        done,
        100,
        "frames",
        now_at(),
    )


async def shown(parts: Parts, job_id: str) -> dict[str, object]:
    (run,) = (await parts.records.job(job_id))["stages"]
    assert run["progress"] is not None
    return dict(run["progress"])


async def test_progress_is_kept_for_a_reload_and_never_falls_within_a_generation(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    await parts.claim(task)
    feed = JobFeed(parts.database.dsn, on_outbox=lambda: None)
    board, other_replica = (ProgressBoard(parts.nc, parts.database, feed) for _ in range(2))
    await board.record(progress(task, 60))
    await other_replica.record(progress(task, 40))
    assert (await shown(parts, job_id))["done"] == 60


async def test_a_new_generation_begins_again_and_an_older_one_is_not_heard(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    board = ProgressBoard(parts.nc, parts.database, JobFeed(parts.database.dsn, on_outbox=lambda: None))
    await parts.claim(task)
    await board.record(progress(task, 60))
    await parts.claim(task)
    await board.record(progress(task, 70, attempt="a1"))
    (run,) = (await parts.records.job(job_id))["stages"]
    assert run["progress"] is None
    await board.record(progress(task, 5, generation=2, attempt="a2"))
    assert (await shown(parts, job_id))["done"] == 5


async def test_a_second_phase_is_shown_after_the_first_is_complete(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    await parts.claim(task)
    board = ProgressBoard(parts.nc, parts.database, JobFeed(parts.database.dsn, on_outbox=lambda: None))
    await board.record(progress(task, 100))
    await board.record(progress(task, 10, phase="write"))
    assert (await shown(parts, job_id))["phase"] == "write"


async def test_a_marker_is_written_beside_the_artifacts_of_each_finished_run(parts: Parts) -> None:
    await parts.finish(await parts.submitted())
    await parts.markers.write_missing()
    uid = (await parts.episodes.get("show"))["episode_uid"]
    for stage in ("detect_track", "faces_embed", "cluster"):
        marker = json.loads(parts.store.get_bytes(f"{uid}/runs/{stage}.json"))
        assert (marker["phase"], marker["status"], marker["requested_device"]) == (stage, "success", "cpu")
        known = {"version", "run_id", "resolved_device", "started_at", "finished_at", "config", "fingerprint"}
        assert known | {"placement", "thread_cap"} <= set(marker)
    assert await parts.rows("SELECT 1 FROM stage_runs WHERE marker_written_at IS NULL") == []

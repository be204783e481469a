"""What keeps Postgres and the broker of one mind: the relay, the reaper and the silencer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from services.kit import bus
from services.kit.codec import decode, encode
from services.kit.messages import Control, Task, TaskOutcome
from services.orchestrator.job_request import JobKind
from services.orchestrator.outbox import OutboxRelay, publish_once
from services.orchestrator.reaper import Reaper
from services.orchestrator.settings import JobsSettings
from tests.integration.parts import VIDEO, Parts, result_of, success_of, until


async def queued(parts: Parts) -> int:
    info = await parts.nc.jetstream().stream_info(bus.TASKS_STREAM)
    return int(info.state.messages)


async def all_sent(parts: Parts) -> bool:
    return not await parts.rows("SELECT 1 FROM outbox WHERE sent_at IS NULL")


async def relayed(parts: Parts, relay: OutboxRelay | None = None) -> None:
    """Lets a relay run until it has nothing left."""
    running = asyncio.create_task((relay or parts.relay).run())
    try:
        await until(lambda: all_sent(parts))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def aged(parts: Parts) -> None:
    await parts.rows("UPDATE outbox SET created_at = created_at - interval '1 minute'")


async def test_a_task_is_published_once_and_marked_sent(parts: Parts) -> None:
    task = await parts.task(await parts.submitted())
    await relayed(parts)
    await relayed(parts)
    message = await parts.nc.jetstream().get_last_msg(bus.TASKS_STREAM, bus.task_subject(task))
    assert message.data is not None
    assert decode(Task, message.data) == task
    assert await queued(parts) == 1


async def test_a_relay_that_died_before_marking_publishes_again_without_a_second_message(parts: Parts) -> None:
    await parts.submitted()
    await relayed(parts)
    await parts.rows("UPDATE outbox SET sent_at = NULL")
    await relayed(parts, OutboxRelay(parts.nc, parts.database))
    assert await queued(parts) == 1


async def test_two_relays_at_once_send_everything_once(parts: Parts) -> None:
    for number in range(12):
        await parts.upload(f"show{number}")
        await parts.submit(ep_id=f"show{number}")
    others = [OutboxRelay(parts.nc, parts.database) for _ in range(2)]
    await asyncio.gather(*(relayed(parts, relay) for relay in (parts.relay, *others)))
    assert await queued(parts) == 12


async def test_a_duplicate_counts_as_sent_and_other_refusals_do_not(parts: Parts) -> None:
    task = await parts.task(await parts.submitted())
    js = parts.nc.jetstream()
    for _ in range(2):
        await publish_once(js, bus.task_subject(task), encode(task))
    assert await queued(parts) == 1
    await js.delete_stream(bus.TASKS_STREAM)
    with pytest.raises(Exception, match="no response"):
        await publish_once(js, bus.task_subject(task), encode(task))


async def test_the_relay_waits_for_a_stream_that_is_not_there_yet(parts: Parts) -> None:
    await parts.submitted()
    await parts.nc.jetstream().delete_stream(bus.TASKS_STREAM)
    running = asyncio.create_task(parts.relay.run())
    await parts.reaper.ensure_streams()
    await until(lambda: all_sent(parts))
    running.cancel()
    assert await queued(parts) == 1


async def test_the_reaper_makes_the_streams_again_and_republishes_what_lives(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.do(await parts.task(job_id))
    await relayed(parts)
    js = parts.nc.jetstream()
    for name in (bus.TASKS_STREAM, bus.RESULTS_STREAM, bus.LOGS_STREAM):
        await js.delete_stream(name)
    await aged(parts)
    await parts.reaper.reap()
    assert await queued(parts) == 3
    assert {s.config.name for s in await js.streams_info()} == {"TASKS", "RESULTS", "LOGS"}
    consumers = {c.name for c in await js.consumers_info(bus.TASKS_STREAM)}
    assert "detect_track-cpu" in consumers
    assert len(consumers) == 6


async def test_reaping_again_or_at_once_changes_nothing(parts: Parts) -> None:
    await parts.submitted()
    await relayed(parts)
    await aged(parts)
    await asyncio.gather(*(Reaper(parts.nc, parts.database, JobsSettings()).reap() for _ in range(3)))
    assert await queued(parts) == 1


async def test_the_reaper_publishes_no_task_that_is_over(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.jobs.cancel(job_id)
    await aged(parts)
    await parts.reaper.reap()
    assert await queued(parts) == 0


async def test_a_run_that_no_worker_took_in_time_fails_for_want_of_one(parts: Parts) -> None:
    job_id = await parts.submitted()
    await parts.reaper.reap()
    assert (await parts.states(job_id))[0] == "queued"
    await parts.rows("UPDATE stage_runs SET queued_at = now() - interval '2 hours' WHERE queued_at IS NOT NULL")
    await parts.reaper.reap()
    assert await parts.states(job_id) == ("failed", ["failed", "cancelled", "cancelled"])
    error = (await parts.records.job(job_id))["error"]
    assert error["code"] == "accelerator-unavailable"
    assert "detect_track on cpu" in error["message"]


async def test_a_task_past_its_longest_runtime_fails_its_job(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await parts.claim(await parts.task(job_id))
    await parts.reaper.reap()
    assert (await parts.states(job_id))[0] == "running"
    await parts.rows("UPDATE tasks SET claimed_at = now() - interval '2 days'")
    await parts.reaper.reap()
    assert await parts.states(job_id) == ("failed", ["failed"])


async def test_the_silencer_tells_workers_until_they_have_let_go(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    task = await parts.task(job_id)
    await relayed(parts)
    attempt_id, _ = await parts.claim(task)
    heard = await parts.nc.subscribe(bus.ALL_CONTROL)
    running = asyncio.create_task(parts.silencer.run())
    await parts.jobs.cancel(job_id)
    for _ in range(2):
        message = await heard.next_msg(timeout=10)
        assert decode(Control, message.data) == Control(job_id, "cancel")
    await parts.rows("UPDATE jobs SET finished_at = finished_at - interval '1 minute'")
    assert await heard.next_msg(timeout=10)
    assert await queued(parts) == 0
    await parts.report(task, attempt_id, TaskOutcome.HANDED_BACK)
    await parts.rows("UPDATE jobs SET finished_at = finished_at - interval '1 minute'")
    async with parts.database.transaction() as tx:
        assert await tx.all("jobs_to_silence", worker_expiry_s=bus.WORKER_EXPIRY_S) == []
    running.cancel()


async def test_cancelling_a_job_that_nobody_took_empties_its_queue(parts: Parts) -> None:
    job_id = await parts.submitted(JobKind.DETECT_TRACK)
    await relayed(parts)
    running = asyncio.create_task(parts.silencer.run())
    await parts.jobs.cancel(job_id)

    async def is_empty() -> bool:
        return await queued(parts) == 0

    try:
        await until(is_empty, within_s=4)
    finally:
        running.cancel()


async def test_a_task_whose_result_is_not_read_yet_is_not_published_again(parts: Parts) -> None:
    task = await parts.task(await parts.submitted())
    await relayed(parts)
    js = parts.nc.jetstream()
    attempt_id, _ = await parts.claim(task)
    done = result_of(task, attempt_id, TaskOutcome.SUCCEEDED, **success_of(task))
    await js.publish(bus.result_subject(task.job_id), encode(done))
    await js.purge_stream(bus.TASKS_STREAM)  # as its acknowledgement does
    await aged(parts)
    await parts.reaper.reap()
    assert await queued(parts) == 0


async def test_a_task_that_is_to_be_sent_yet_is_left_to_the_relay(parts: Parts) -> None:
    await parts.submitted()
    await aged(parts)
    await parts.reaper.reap()
    assert await queued(parts) == 0


async def test_a_task_that_no_message_can_hold_fails_its_job_and_keeps_no_other_waiting(parts: Parts) -> None:
    huge = await parts.submitted()
    task = replace(await parts.task(huge), config_json="x" * parts.nc.max_payload)
    await parts.rows("UPDATE outbox SET payload = %s", encode(task))
    await parts.upload("other", VIDEO + b"more")
    other = await parts.submit(ep_id="other")
    await relayed(parts)
    assert await queued(parts) == 1
    assert await parts.states(other) == ("queued", ["queued", "waiting", "waiting"])
    failed = await parts.records.job(huge)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "stage-failed")
    assert "max_payload" in failed["error"]["message"]
    assert len(await parts.rows("SELECT 1 FROM dead_letters WHERE job_id = %s", huge)) == 1

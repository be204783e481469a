"""A task in a worker's hands: what may still be said of it, and when nothing may."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import pytest
from nats.aio.msg import Msg

from services.kit import bus
from services.kit.codec import decode
from services.kit.delivery import Delivery, fetch_one, finish, hand_back
from services.kit.messages import Task, TaskOutcome, TaskResult
from services.orchestrator.job_request import JobKind
from tests.integration.orchestrator.test_relay_and_reaper import queued, relayed
from tests.integration.parts import Parts, result_of


@pytest.fixture
async def task(parts: Parts) -> Task:
    task = await parts.task(await parts.submitted(JobKind.DETECT_TRACK))
    await relayed(parts)
    return task


@pytest.fixture
async def delivery(parts: Parts, task: Task) -> Delivery:
    queue = await parts.nc.jetstream().pull_subscribe_bind(
        consumer=bus.route_consumer(task.stage, task.provider), stream=bus.TASKS_STREAM
    )
    delivery = await fetch_one(parts.nc, queue)
    assert delivery is not None
    return delivery


def expired(delivery: Delivery) -> Delivery:
    delivery.beat_at = monotonic() - bus.ACK_WAIT_S - 1
    return delivery


def result(task: Task, outcome: TaskOutcome, **fields: object) -> TaskResult:
    return result_of(task, "01ATTEMPT", outcome, **fields)


def nothing() -> None:
    pass


async def stored(parts: Parts) -> list[TaskResult]:
    js = parts.nc.jetstream()
    info = await js.stream_info(bus.RESULTS_STREAM)
    found = [await js.get_msg(bus.RESULTS_STREAM, n + 1) for n in range(info.state.messages)]
    return [decode(TaskResult, message.data or b"") for message in found]


async def test_a_beat_does_not_revive_what_has_expired(delivery: Delivery) -> None:
    assert not delivery.is_expired
    await expired(delivery).beat()
    assert delivery.is_expired


async def test_of_an_old_delivery_only_a_success_is_said(parts: Parts, task: Task, delivery: Delivery) -> None:
    expired(delivery)
    for outcome in (TaskOutcome.REJECTED, TaskOutcome.RETRY, TaskOutcome.HANDED_BACK):
        await finish(delivery, result(task, outcome), nothing)
    await hand_back(delivery, result(task, TaskOutcome.HANDED_BACK), nothing)
    await delivery.put_off()
    assert await stored(parts) == []
    assert await queued(parts) == 1
    await finish(delivery, result(task, TaskOutcome.SUCCEEDED), nothing)
    assert [r.outcome for r in await stored(parts)] == [TaskOutcome.SUCCEEDED]


async def test_a_result_that_no_message_holds_becomes_a_rejection(
    parts: Parts, task: Task, delivery: Delivery
) -> None:
    huge = result(task, TaskOutcome.SUCCEEDED, warnings=("x" * parts.nc.max_payload,))
    await finish(delivery, huge, nothing)
    (small,) = await stored(parts)
    assert small.outcome is TaskOutcome.REJECTED
    assert "larger than a message" in small.error_message


async def test_a_task_handed_back_is_published_anew_and_not_delivered_again(
    parts: Parts, task: Task, delivery: Delivery
) -> None:
    attempt_id, _ = await parts.claim(task)
    given = replace(result(task, TaskOutcome.HANDED_BACK), attempt_id=attempt_id)
    await hand_back(delivery, given, nothing)
    assert await queued(parts) == 0
    (back,) = await stored(parts)
    await parts.results.apply(back)
    await relayed(parts)
    message = await again(parts, task)
    assert decode(Task, message.data) == task
    assert message.metadata.num_delivered == 1
    assert await parts.rows("SELECT attempts FROM tasks") == [{"attempts": 0}]


async def again(parts: Parts, task: Task) -> Msg:
    queue = await parts.nc.jetstream().pull_subscribe_bind(
        consumer=bus.route_consumer(task.stage, task.provider), stream=bus.TASKS_STREAM
    )
    delivery = await fetch_one(parts.nc, queue)
    assert delivery is not None
    return delivery.message


async def test_a_task_that_reaches_a_worker_too_late_is_not_taken(
    parts: Parts, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await parts.nc.jetstream().pull_subscribe_bind(
        consumer=bus.route_consumer(task.stage, task.provider), stream=bus.TASKS_STREAM
    )
    monkeypatch.setattr(bus, "ACK_WAIT_S", 0.0)
    assert await fetch_one(parts.nc, queue) is None

"""One message of the work queue in a worker's hands: fetched, claimed, kept alive, settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from services.kit import bus, tracing
from services.kit.attempt import handed_back, too_large
from services.kit.codec import decode, encode
from services.kit.errors import InvalidRequest
from services.kit.messages import ClaimReply, ClaimRequest, Decision, Task, TaskOutcome, TaskResult
from services.kit.tracing import SpanKind

log = logging.getLogger(__name__)

_FETCH_S = 1.0
_RETRY_S = 0.5
_ACK_TIMEOUT_S = 2.0


@dataclass(slots=True)
class Delivery:
    """One message from the work queue, and when the broker last heard that it is in work."""

    nc: Client
    message: Msg
    beat_at: float

    async def beat(self) -> None:
        """Keeps the task this worker's. What has expired is not revived: someone else may hold it by now."""
        if not self.is_expired and self.nc.is_connected:
            await self.message.in_progress()
            self.beat_at = monotonic()

    async def put_off(self, delay_s: float = 0.0) -> None:
        """Another delivery of the same message. A late word on an old one would count for the newest."""
        if not self.is_expired:
            await self.message.nak(delay=delay_s)

    @property
    def is_expired(self) -> bool:
        """Past `ack_wait` the broker has given the task to someone else."""
        return monotonic() - self.beat_at > bus.ACK_WAIT_S


async def fetch_one(nc: Client, queue: JetStreamContext.PullSubscription) -> Delivery | None:
    """The next task, if there is one soon.

    While the broker is away nothing is asked: the requests would be kept and all be answered at once, with
    tasks that wait in this process until they are given to someone else. A task that reached this process
    later than that, because it was stopped or starved, is dropped: it is no longer this worker's.
    """
    if not nc.is_connected:
        await asyncio.sleep(_RETRY_S)
        return None
    asked_at = monotonic()
    try:
        delivery = Delivery(nc, (await queue.fetch(1, timeout=_FETCH_S))[0], asked_at)
    except (NatsTimeout, TimeoutError):
        return None
    except NatsError as error:
        log.debug("fetch: %s", error)  # the stream or consumer is not made yet, or the broker is away
        await asyncio.sleep(_RETRY_S)
        return None
    if delivery.is_expired:
        log.info("dropped a task that took %.0f s to get here", monotonic() - asked_at)
        return None
    return delivery


async def claim(
    delivery: Delivery, task: Task, attempt_id: str, worker_id: str, on_turn: Callable[[], bool]
) -> ClaimReply:
    """Asks until there is an answer: without one nothing may run, and nothing is lost by waiting.

    `on_turn` is called after each try without an answer, and says whether to go on.
    """
    request = encode(ClaimRequest(task.task_id, attempt_id, worker_id))
    name, attributes = tracing.messaging("send", bus.CLAIM)
    with tracing.span(name, attributes, kind=SpanKind.PRODUCER):
        headers = tracing.headers() or None
        while not delivery.is_expired:
            try:
                reply = await delivery.nc.request(bus.CLAIM, request, bus.CLAIM_TIMEOUT_S, headers=headers)
                return decode(ClaimReply, reply.data)
            except (NatsError, InvalidRequest) as error:
                log.info("claim of %s: no answer yet (%s)", task.task_id, type(error).__name__)
            if not on_turn():
                break
            with suppress(NatsError):
                await delivery.beat()
            await asyncio.sleep(_RETRY_S)
    # The claim may have been granted all the same, with the answer lost.
    await store(delivery, handed_back(task, attempt_id, worker_id), on_turn)
    return ClaimReply(Decision.WAIT, reason="nobody answered in time")


async def finish(delivery: Delivery, result: TaskResult, on_turn: Callable[[], object]) -> None:
    """Stores the result and only then lets go of the task.

    Tries for as long as the delivery is this worker's, and a success for ever; `on_turn` is called with each
    try. A retry is a redelivery of the same message.
    """
    if not await store(delivery, result, on_turn):
        return
    with suppress(NatsError):
        if result.outcome is TaskOutcome.RETRY:
            await delivery.put_off(result.retry_after_s)
        elif result.outcome is TaskOutcome.SUCCEEDED or not delivery.is_expired:
            await delivery.message.ack()


async def hand_back(delivery: Delivery, result: TaskResult, on_turn: Callable[[], object]) -> None:
    """Lets go of a task that was begun, and then says so: the orchestrator publishes it anew.

    In this order, since the broker takes one message per task. A worker killed in between leaves a live task
    without a message, which the reaper publishes.
    """
    if not delivery.is_expired:
        with suppress(NatsError):
            await delivery.message.ack_sync(timeout=_ACK_TIMEOUT_S)
    await store(delivery, result, on_turn)


async def store(delivery: Delivery, result: TaskResult, on_turn: Callable[[], object]) -> bool:
    """Whether the result is stored."""
    name, attributes = tracing.messaging("send", bus.result_subject("{job_id}"))
    with tracing.span(name, attributes, kind=SpanKind.PRODUCER):
        return await _store(delivery, result, on_turn)


async def _store(delivery: Delivery, result: TaskResult, on_turn: Callable[[], object]) -> bool:
    js = delivery.nc.jetstream()
    while result.outcome is TaskOutcome.SUCCEEDED or not delivery.is_expired:
        on_turn()
        message_id = f"{result.attempt_id}.{result.outcome}"
        try:
            headers = {"Nats-Msg-Id": message_id, **tracing.headers()}
            await js.publish(bus.result_subject(result.job_id), encode(result), headers=headers)
            return True
        except MaxPayloadError:
            result = too_large(result)
        except NatsError as error:
            log.info("result of %s is not stored yet (%s)", result.task_id, type(error).__name__)
            with suppress(NatsError):
                await delivery.beat()
            await asyncio.sleep(_RETRY_S)
    return False


def next_wait_s(delivery: Delivery, *, is_draining: bool) -> float:
    until_beat = bus.HEARTBEAT_S - (monotonic() - delivery.beat_at)
    return max(0.05, min(until_beat, 0.2 if is_draining else 1.0))

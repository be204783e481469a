"""One message of the work queue in a worker's hands: fetched, kept alive, settled."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from services.kit import bus
from services.kit.messages import TaskOutcome, TaskResult

log = logging.getLogger(__name__)

_FETCH_S = 1.0
_RETRY_S = 0.5


@dataclass(slots=True)
class Delivery:
    """One message from the work queue, and when the broker last heard that it is in work."""

    message: Msg
    beat_at: float

    async def beat(self) -> None:
        await self.message.in_progress()
        self.beat_at = monotonic()

    @property
    def is_expired(self) -> bool:
        """Past `ack_wait` the broker has given the task to someone else."""
        return monotonic() - self.beat_at > bus.ACK_WAIT_S


async def fetch_one(queue: JetStreamContext.PullSubscription) -> Msg | None:
    try:
        return (await queue.fetch(1, timeout=_FETCH_S))[0]
    except (NatsTimeout, TimeoutError):
        return None
    except NatsError as error:
        log.debug("fetch: %s", error)  # the stream or consumer is not made yet, or the broker is away
        await asyncio.sleep(_RETRY_S)
        return None


async def settle(message: Msg, result: TaskResult, *, was_cancelled: bool) -> None:
    """What the broker does with the task: another attempt is a redelivery of the same message."""
    if result.outcome is TaskOutcome.RETRY:
        await message.nak(delay=result.retry_after_s)
    elif result.outcome is TaskOutcome.HANDED_BACK and not was_cancelled:
        await message.nak()
    else:
        await message.ack()


def next_wait_s(delivery: Delivery, *, is_draining: bool) -> float:
    until_beat = bus.HEARTBEAT_S - (monotonic() - delivery.beat_at)
    return max(0.05, min(until_beat, 0.2 if is_draining else 1.0))

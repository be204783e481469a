"""Ending for certain: tasks, and what they have in hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

_AGAIN_AFTER_S = 0.2


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels until every task has ended; what they raise is dropped.

    Once is not enough before Python 3.12: `asyncio.wait_for` loses a cancel that arrives together with the
    result it waits for (CPython gh-86296), and a loop around it then runs on.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=_AGAIN_AFTER_S)
        await asyncio.gather(*ended, return_exceptions=True)


@asynccontextmanager
async def handing_back(messages: Iterable[Msg]) -> AsyncIterator[deque[Msg]]:
    """Messages that are left in the queue when the block ends go to another replica at once."""
    left = deque(messages)
    try:
        yield left
    finally:
        for message in left:
            with suppress(NatsError):
                await message.nak()

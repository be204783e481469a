from __future__ import annotations

import asyncio
from contextlib import suppress

from services.orchestrator.endings import end_tasks


async def test_an_agent_that_loses_its_first_cancel_is_ended_all_the_same() -> None:
    """As `asyncio.wait_for` loses it on Python 3.11, when its result arrives together with the cancel."""
    cancels = 0
    started = asyncio.Event()

    async def agent() -> None:
        nonlocal cancels
        started.set()
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            cancels += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(agent())
    await started.wait()
    await asyncio.wait_for(end_tasks([task]), 10)
    assert task.cancelled()
    assert cancels == 2


async def test_what_an_ended_task_raised_is_dropped() -> None:
    async def fails() -> None:
        raise ValueError

    await end_tasks([asyncio.create_task(fails())])
    await end_tasks([])

"""Asks again and again, while a worker runs, where its models execute: a GPU or a server can vanish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from services.kit.attempt import in_daemon_thread
from services.kit.errors import AcceleratorUnavailable, ScreenalyticsError
from services.kit.inference.pool import ModelPool

log = logging.getLogger(__name__)

# A device that does not answer a tiny inference for so long is as good as gone.
_ANSWER_WITHIN_S = 60.0


class PlacementWatch:
    """`on_loss` hears once, on the event loop, why the models no longer execute where they should."""

    def __init__(
        self, pool: ModelPool, *, interval_s: float, on_loss: Callable[[ScreenalyticsError], None]
    ) -> None:
        self._pool = pool
        self._interval_s = interval_s
        self._on_loss = on_loss

    async def run(self) -> None:
        fault: ScreenalyticsError | None = None
        while fault is None:
            await asyncio.sleep(self._interval_s)
            fault = await self._fault()
        log.error("the models are lost: %s", fault)
        self._on_loss(fault)

    async def _fault(self) -> ScreenalyticsError | None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await in_daemon_thread(self._pool.verify)
        except ScreenalyticsError as error:
            return error
        except TimeoutError:
            return AcceleratorUnavailable(
                f"{self._pool.route} has not answered a tiny inference for {_ANSWER_WITHIN_S:.0f} s"
            )
        return None

"""Parts started tier by tier, watched together, and stopped in the reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from services.local.part import Part, PartSpec
from services.local.state import PartStatus

Tiers = Sequence[Sequence[PartSpec]]


class Supervisor:
    """The parts of one tier start together once every part of the tier before it has settled.

    `on_change` hears the statuses of all parts, in the order of `tiers`, whenever one of them changes.
    """

    def __init__(
        self,
        tiers: Tiers,
        log_file: Callable[[str], Path],
        on_change: Callable[[PartStatus, tuple[PartStatus, ...]], None],
    ) -> None:
        self._on_change = on_change
        self._tiers = [[Part(spec, log_file(spec.name), self._changed) for spec in tier] for tier in tiers]
        self._tasks: list[asyncio.Task[Any]] = []
        self._ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    @property
    def statuses(self) -> tuple[PartStatus, ...]:
        return tuple(part.status for part in chain(*self._tiers))

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event, on_started: Callable[[], None]) -> None:
        """Until `stop`; every process it started has ended when it returns, also when it raises.

        `on_started` is called once all parts are ready or have refused. Raises the error of the first part
        that fails before it was ever ready.
        """
        self._begin(stop.wait())
        self._begin(self._start(on_started))
        try:
            while not stop.is_set():
                (await self._ended.get()).result()
        finally:
            await self._stop(hurry)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended.put_nowait)
        self._tasks.append(task)

    async def _start(self, on_started: Callable[[], None]) -> None:
        for tier in self._tiers:
            for part in tier:
                self._begin(part.keep_running())
            await asyncio.gather(*(part.settled.wait() for part in tier))
        on_started()

    async def _stop(self, hurry: asyncio.Event) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for tier in reversed(self._tiers):
            await asyncio.gather(*(part.stop(hurry) for part in tier))

    def _changed(self, status: PartStatus) -> None:
        self._on_change(status, self.statuses)

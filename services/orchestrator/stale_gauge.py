"""How many episodes have a result that is out of date, judged as their status is."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from prometheus_client import Gauge

from services.kit.errors import SystemUnavailable
from services.kit.inference.catalog import Catalog
from services.kit.stages import STAGE_ORDER, Stage
from services.orchestrator.database import Database, Row
from services.orchestrator.phases import read_phases
from services.orchestrator.staleness import stale_phases

log = logging.getLogger(__name__)

_NEWEST = 1_000
_EVERY_S = 600.0
_PAUSE_S = 0.02  # between two episodes: it is in no hurry

STALE = Gauge(
    "screenalytics_stale_episodes",
    f"Of the newest {_NEWEST} episodes, those whose result of the stage is stale.",
    ["stage"],
)


class StaleGauge:
    """Every replica counts the same episodes, so readers join them by `max`."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def run(self) -> None:
        while True:
            try:
                await self.read()
            except SystemUnavailable as error:
                log.debug("stale episodes: %s", error)
            await asyncio.sleep(_EVERY_S)

    async def read(self) -> None:
        counted: Counter[Stage] = Counter()
        for episode in await self._database.read("newest_episodes", limit=_NEWEST):
            counted.update(await self._stale(episode))
            await asyncio.sleep(_PAUSE_S)
        for stage in STAGE_ORDER:
            STALE.labels(stage).set(counted[stage])

    async def _stale(self, episode: Row) -> list[Stage]:
        async with self._database.transaction() as tx:
            phases = await read_phases(tx, episode, self._catalog)
        made = {stage: facts.result.made for stage, facts in phases.items() if facts.result is not None}
        return list(stale_phases(made))

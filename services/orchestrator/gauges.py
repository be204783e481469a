"""What stands in Postgres, as gauges. Every replica reads the same rows, so readers join them by `max`."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import Gauge

from services.kit.errors import SystemUnavailable
from services.kit.stages import STAGE_ORDER
from services.orchestrator.database import Database

log = logging.getLogger(__name__)

_EVERY_S = 15.0
_RECENT_S = 3600.0
_OUTCOMES = ("succeeded", "failed", "cancelled", "zero_rows")

TASKS = Gauge("screenalytics_tasks", "Live tasks: queued, or in work.", ["stage", "provider", "state"])
OLDEST_QUEUED = Gauge(
    "screenalytics_oldest_queued_task_seconds",
    "Age of the oldest live task that no worker is at.",
    ["stage", "provider"],
)
OUTBOX_ROWS = Gauge("screenalytics_outbox_rows", "Messages that were not sent yet.")
OUTBOX_OLDEST = Gauge("screenalytics_outbox_oldest_seconds", "Age of the oldest message that was not sent yet.")
DEAD_LETTERS = Gauge("screenalytics_dead_letters", "Tasks that no further attempt is given.", ["stage"])
RECENT_RUNS = Gauge(
    "screenalytics_recent_stage_runs",
    "Stage runs that ended within the last hour; zero_rows succeeded and found nothing.",
    ["stage", "outcome"],
)


class StateGauges:
    """Sets the gauges from time to time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        while True:
            try:
                await self.read()
            except SystemUnavailable as error:
                log.debug("gauges: %s", error)
            await asyncio.sleep(_EVERY_S)

    async def read(self) -> None:
        async with self._database.transaction() as tx:
            live = await tx.all("count_live_tasks")
            outbox = await tx.one("measure_outbox")
            letters = await tx.all("count_dead_letters")
            recent = await tx.all("count_recent_runs", window_s=_RECENT_S)
        for gauge in (TASKS, OLDEST_QUEUED):
            gauge.clear()
        for row in live:
            route = (row["stage"], row["provider"])
            TASKS.labels(*route, "queued").set(row["queued"])
            TASKS.labels(*route, "in_work").set(row["in_work"])
            OLDEST_QUEUED.labels(*route).set(row["oldest_queued_s"])
        if outbox is not None:
            OUTBOX_ROWS.set(outbox["rows"])
            OUTBOX_OLDEST.set(outbox["oldest_s"])
        counted = {row["stage"]: row["letters"] for row in letters}
        runs = {(row["stage"], row["outcome"]): row["runs"] for row in recent}
        for stage in STAGE_ORDER:
            DEAD_LETTERS.labels(stage).set(counted.get(stage, 0))
            for outcome in _OUTCOMES:
                RECENT_RUNS.labels(stage, outcome).set(runs.get((stage, outcome), 0))

"""Removes the files of attempts that came to nothing: events never delete files."""

from __future__ import annotations

import asyncio
import logging

from services.kit.errors import SystemUnavailable
from services.kit.object_store import ObjectStore
from services.orchestrator.database import Database
from services.orchestrator.settings import JobsSettings

log = logging.getLogger(__name__)

_PAUSE_S = 30.0
_BATCH = 100


class ArtifactCollector:
    """Works through closed attempts that no artifact row names. Removing twice is harmless."""

    def __init__(self, database: Database, store: ObjectStore, limits: JobsSettings) -> None:
        self._database = database
        self._store = store
        self._after_s = limits.collect_after_s

    async def run(self) -> None:
        while True:
            try:
                while await self.collect() == _BATCH:
                    pass
            except SystemUnavailable as error:
                log.warning("files of dead attempts wait: %s", error)
            await asyncio.sleep(_PAUSE_S)

    async def collect(self) -> int:
        """The number of attempts whose files, if there were any, are gone."""
        rows = await self._database.read("uncollected_attempts", after_s=self._after_s, limit=_BATCH)
        for row in rows:
            prefix = f"{row['episode_uid']}/{row['attempt_id']}"
            await asyncio.to_thread(self._store.delete_prefix, prefix)
        if rows:
            async with self._database.transaction() as tx:
                await tx.run("attempts_collected", attempt_ids=[row["attempt_id"] for row in rows])
        return len(rows)

"""Forgets log lines, last words of attempts and what webhooks were told, past an age that is a setting."""

from __future__ import annotations

import asyncio
import logging

from services.kit.errors import SystemUnavailable
from services.orchestrator.database import Database

log = logging.getLogger(__name__)

_EVERY_S = 600.0
_BATCH = 10_000  # lines of one transaction, so that nobody waits long for a lock


class LogRetention:
    """Every pass is idempotent; several replicas may do it at once."""

    def __init__(self, database: Database, retention_days: float) -> None:
        self._database = database
        self._retention_days = retention_days

    async def run(self) -> None:
        while True:
            try:
                await self.forget()
            except SystemUnavailable as error:
                log.debug("log retention: %s", error)
            await asyncio.sleep(_EVERY_S)

    async def forget(self) -> int:
        """How many lines went."""
        forgotten, last = 0, _BATCH
        while last == _BATCH:
            async with self._database.transaction() as tx:
                gone = await tx.all("forget_log_lines", older_than_days=self._retention_days, limit=_BATCH)
            last = len(gone)
            forgotten += last
        async with self._database.transaction() as tx:
            await tx.run("forget_last_words", older_than_days=self._retention_days)
            await tx.run("forget_webhook_events", older_than_days=self._retention_days)
        return forgotten

"""Whether this replica can do its work: Postgres answers and NATS is connected."""

from __future__ import annotations

from nats.aio.client import Client

from services.orchestrator.database import Database


class Readiness:
    def __init__(self, nc: Client, database: Database) -> None:
        self._nc = nc
        self._database = database
        self.is_draining = False

    async def fault(self) -> str | None:
        if self.is_draining:
            return "draining"
        if not self._nc.is_connected:
            return "NATS is not connected"
        return None if await self._database.is_answering() else "Postgres does not answer"

"""`python -m services.orchestrator.migrate`: brings the schema to this release's, and ends."""

import asyncio
import sys

from services.kit.process import run_service
from services.orchestrator.database import Database
from services.orchestrator.settings import OrchestratorSettings


async def serve(settings: OrchestratorSettings, stop: asyncio.Event) -> None:
    database = Database(settings.postgres.dsn, pool_size=settings.postgres.pool_size)
    try:
        await database.open()
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(run_service(OrchestratorSettings, serve))

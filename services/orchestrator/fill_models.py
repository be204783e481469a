"""`python -m services.orchestrator.fill_models`: the models' folder goes into the object store."""

import asyncio
import logging
import sys

from services.kit.errors import ModelUnusable
from services.kit.inference.model_store import fill
from services.kit.process import run_service
from services.orchestrator.settings import OrchestratorSettings

log = logging.getLogger(__name__)


async def serve(settings: OrchestratorSettings, stop: asyncio.Event) -> None:
    names = await asyncio.to_thread(fill, settings)
    if not names:
        raise ModelUnusable(f"{settings.models.dir} holds no file of the catalog")
    log.info("stored: %s", ", ".join(names))


if __name__ == "__main__":
    sys.exit(run_service(OrchestratorSettings, serve))

"""Composition root of the embedder."""

import asyncio

from services.embedder.settings import EmbedderSettings
from services.embedder.stage import FacesEmbedStage
from services.kit.inference.catalog import Catalog
from services.kit.worker_process import serve_worker


async def serve(settings: EmbedderSettings, stop: asyncio.Event) -> None:
    catalog = Catalog.load(settings.models.dir, settings.models.overlay_dir)
    await serve_worker(settings, FacesEmbedStage(catalog), catalog, stop)

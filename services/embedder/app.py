"""Composition root of the embedder."""

import asyncio

from services.embedder.settings import EmbedderSettings
from services.embedder.stage import FacesEmbedStage
from services.kit.inference.stored_overlay import load_catalog
from services.kit.worker_process import serve_worker


async def serve(settings: EmbedderSettings, stop: asyncio.Event) -> None:
    catalog = await asyncio.to_thread(load_catalog, settings, with_files=not settings.triton.url)
    await serve_worker(settings, FacesEmbedStage(catalog), catalog, stop)

"""Composition root of the clusterer."""

import asyncio

from services.clusterer.settings import ClustererSettings
from services.clusterer.stage import ClusterStage
from services.kit.inference.stored_overlay import load_catalog
from services.kit.worker_process import serve_worker


async def serve(settings: ClustererSettings, stop: asyncio.Event) -> None:
    catalog = await asyncio.to_thread(load_catalog, settings, with_files=not settings.triton.url)
    await serve_worker(settings, ClusterStage(catalog), catalog, stop)

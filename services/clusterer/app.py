"""Composition root of the clusterer."""

import asyncio

from services.clusterer.settings import ClustererSettings
from services.clusterer.stage import ClusterStage
from services.kit.inference.catalog import Catalog
from services.kit.worker_process import serve_worker


async def serve(settings: ClustererSettings, stop: asyncio.Event) -> None:
    catalog = Catalog.load(settings.models.dir, settings.models.overlay_dir)
    await serve_worker(settings, ClusterStage(catalog), catalog, stop)

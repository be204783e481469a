"""Composition root of the detector."""

import asyncio

from services.detector.settings import DetectorSettings
from services.detector.stage import DetectTrackStage
from services.kit.inference.catalog import Catalog
from services.kit.worker_process import serve_worker


async def serve(settings: DetectorSettings, stop: asyncio.Event) -> None:
    catalog = Catalog.load(settings.models.dir, settings.models.overlay_dir)
    await serve_worker(settings, DetectTrackStage(catalog, disk=settings.disk), catalog, stop)

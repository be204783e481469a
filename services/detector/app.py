"""Composition root of the detector."""

import asyncio

from services.detector.settings import DetectorSettings
from services.detector.stage import DetectTrackStage
from services.kit.inference.stored_overlay import load_catalog
from services.kit.worker_process import serve_worker


async def serve(settings: DetectorSettings, stop: asyncio.Event) -> None:
    catalog = await asyncio.to_thread(load_catalog, settings, with_files=not settings.triton.url)
    await serve_worker(settings, DetectTrackStage(catalog, disk=settings.disk), catalog, stop)

"""Composition root of the detector."""

import asyncio
import logging

import av

from services.detector.ffmpeg_floor import floor_fault
from services.detector.settings import DetectorSettings
from services.detector.stage import DetectTrackStage
from services.kit.errors import InvalidSettings
from services.kit.inference.stored_overlay import load_catalog
from services.kit.worker_process import serve_worker

log = logging.getLogger(__name__)


async def serve(settings: DetectorSettings, stop: asyncio.Event) -> None:
    _require_ffmpeg(str(av.ffmpeg_version_info))
    catalog = await asyncio.to_thread(load_catalog, settings, with_files=not settings.triton.url)
    await serve_worker(settings, DetectTrackStage(catalog, disk=settings.disk), catalog, stop)


def _require_ffmpeg(version: str) -> None:
    """Raises `InvalidSettings` for one that lacks known fixes: it must not open a stranger's file."""
    if (fault := floor_fault(version)) is not None:
        raise InvalidSettings(fault)
    log.info("media is opened by FFmpeg %s", version)

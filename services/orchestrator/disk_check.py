"""Whether the store has room for what is about to be written. Only a `file://` store can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.kit.codec import from_dict
from services.kit.disk_need import DiskNeed, disk_need, require_space
from services.kit.messages import MediaInfo
from services.kit.object_store import local_root
from services.kit.stage_configs import StageConfig
from services.orchestrator.database import Row
from services.orchestrator.settings import OrchestratorSettings


async def require_store_space(
    settings: OrchestratorSettings, episode: Row, configs: Sequence[StageConfig], chips_per_track: int
) -> None:
    """Of a video that was never planned nothing is known yet: the detector asks once it has read its index.

    Raises `InsufficientDisk`.
    """
    folder = local_root(settings.store.url)
    if folder is None or episode["media_info"] is None:
        return
    info = from_dict(MediaInfo, episode["media_info"])
    need = sum((disk_need(config, info, chips_per_track) for config in configs), DiskNeed(0))
    await asyncio.to_thread(require_space, {"the store": (folder, need.store_bytes)}, settings.disk)

"""How much disk a job will take, told before it runs, and whether that fits. The estimate is pure.

The constants are measured on real clips and rounded up. Bytes per pixel of a JPEG: the largest mean of six
clips from 360 to 1920 px, plus a fifth. Three faces stand in a frame all the time, which few videos have.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from services.kit.errors import InsufficientDisk
from services.kit.messages import MediaInfo
from services.kit.settings import DiskSettings
from services.kit.stage_configs import DetectTrackConfig, FacesEmbedConfig, StageConfig

_FACES_PER_FRAME = 3
_JPEG_BYTES_PER_PIXEL = ((0, 0.04), (50, 0.08), (70, 0.10), (85, 0.14), (92, 0.19), (95, 0.26), (100, 0.56))
_CHIP_BYTES = 12_000
_CHIP_PERIOD_S = 1.0  # a tracklet keeps one chip a second besides its best
_TRACK_LENGTH_S = 4.0
_CROP_OF_FRAME = 1 / 16
_CROP_MIN_BYTES = 1_500
_FRAME_ROW_BYTES = 30
_DETECTION_ROW_BYTES = 120
_FACE_ROW_BYTES = 200
_EMBEDDING_BYTES = 4 * 512
_FIXED_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """`store_bytes` go to the object store; `scratch_bytes` lie in the worker's scratch folder meanwhile."""

    store_bytes: int
    scratch_bytes: int = 0

    def __add__(self, other: DiskNeed) -> DiskNeed:
        """Scratch folders are emptied between tasks, so only the largest counts."""
        scratch_bytes = max(self.scratch_bytes, other.scratch_bytes)
        return DiskNeed(self.store_bytes + other.store_bytes, scratch_bytes)


def jpeg_bytes(pixels: float, quality: int) -> float:
    """Of one image, by linear interpolation between the measured qualities."""
    for (low, at_low), (high, at_high) in pairwise(_JPEG_BYTES_PER_PIXEL):
        if quality <= high:
            return pixels * (at_low + (at_high - at_low) * (quality - low) / (high - low))
    raise ValueError(f"no JPEG quality: {quality}")


def disk_need(config: StageConfig, info: MediaInfo, chips_per_track: int) -> DiskNeed:
    """Of one stage run."""
    match config:
        case DetectTrackConfig():
            return _detect_track_need(config, info)
        case FacesEmbedConfig():
            rows = _chips(info.duration_s, chips_per_track)
            size = round(rows * (_FACE_ROW_BYTES + _EMBEDDING_BYTES)) + _FIXED_BYTES
            return DiskNeed(size, size)
    return DiskNeed(_FIXED_BYTES, _FIXED_BYTES)


def _detect_track_need(config: DetectTrackConfig, info: MediaInfo) -> DiskNeed:
    """Everything is stored twice: by the segments, and for the whole video by `stitch`."""
    decoded = info.duration_s * info.fps
    sampled = decoded / config.stride
    pixels = info.width * info.height
    rows = decoded * _FRAME_ROW_BYTES + sampled * _FACES_PER_FRAME * _DETECTION_ROW_BYTES
    images = _chips(info.duration_s, config.chips_per_track) * _CHIP_BYTES
    if config.save_frames:
        images += sampled * jpeg_bytes(pixels, config.jpeg_quality)
    if config.save_crops:
        crop_bytes = max(jpeg_bytes(pixels * _CROP_OF_FRAME, config.jpeg_quality), _CROP_MIN_BYTES)
        images += sampled * _FACES_PER_FRAME * crop_bytes
    once = round(rows + images) + _FIXED_BYTES
    return DiskNeed(2 * once, once)


def _chips(duration_s: float, chips_per_track: int) -> float:
    return _FACES_PER_FRAME * duration_s * (1 / _CHIP_PERIOD_S + chips_per_track / _TRACK_LENGTH_S)


def require_space(needs: Mapping[str, tuple[Path, int]], settings: DiskSettings) -> None:
    """`needs`: (folder, bytes) by what the folder is called; those on one disk add up.

    Raises `InsufficientDisk` with the figures.
    """
    if not settings.check:
        return
    by_disk: dict[int, dict[str, tuple[Path, int]]] = {}
    for name, (folder, size) in needs.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        by_disk.setdefault(there.stat().st_dev, {})[name] = (there, size)
    for members in by_disk.values():
        needed = sum(size for _, size in members.values())
        folder = next(iter(members.values()))[0]
        free = max(shutil.disk_usage(folder).free - settings.reserve_bytes, 0)
        if needed > free:
            raise _shortage(" and ".join(members), needed, free)


def _shortage(name: str, needed_bytes: int, free_bytes: int) -> InsufficientDisk:
    error = InsufficientDisk(
        f"about {_shown(needed_bytes)} are needed on the disk of {name}, and {_shown(free_bytes)} can be used",
        hint="free some space, or take a larger stride, or do not save frames and crops",
    )
    error.extras.update({"needed_bytes": needed_bytes, "free_bytes": free_bytes})
    return error


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

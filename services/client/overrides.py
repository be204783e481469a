"""What a job may do otherwise than its profile."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Overrides:
    """Values that take the place of the profile's; None keeps the profile's."""

    stride: int | None = None
    save_frames: bool | None = None
    save_crops: bool | None = None
    jpeg_quality: int | None = None
    scene_detector: str | None = None
    track_threshold: float | None = None
    detector: str | None = None
    embedder: str | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

"""Which chips are not worth embedding, and why. Pure.

Blur, low contrast and pose say that a better view of the face would be worth more; low confidence says that it
may be no face. So a track that would lose every chip keeps its best one, if at least two of them are confident:
a person who is seen only in profile, or only out of focus, is still a person on screen, while one poor look at
something may be the detector's slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.kit.stage_configs import FacesEmbedConfig

Mask = NDArray[np.bool_]

_MIN_CONFIDENT_LOOKS = 2


class SkipReason(StrEnum):
    """Why a chip has no embedding; the first that holds, in this order."""

    LOW_CONFIDENCE = "low_confidence"
    BLURRY = "blurry"
    LOW_CONTRAST = "low_contrast"
    EXTREME_POSE = "extreme_pose"
    UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class ChipMeasures:
    """Columns of the chips table, one value per chip: `track_id` int64, the rest float; yaw in degrees."""

    track_id: NDArray[np.int64]
    conf: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    yaw_deg: NDArray[np.float32]
    quality: NDArray[np.float32]


def rejections(chips: ChipMeasures, config: FacesEmbedConfig) -> list[SkipReason | None]:
    """Per chip the reason to skip it, or None to embed it."""
    checks: dict[SkipReason, Mask] = {
        SkipReason.LOW_CONFIDENCE: chips.conf < config.min_confidence,
        SkipReason.BLURRY: chips.sharpness < config.min_sharpness,
        SkipReason.LOW_CONTRAST: chips.contrast < config.min_contrast,
        SkipReason.EXTREME_POSE: np.abs(chips.yaw_deg) > config.max_abs_yaw_deg,
    }
    accepted = ~np.any(list(checks.values()), axis=0)
    kept = _last_resorts(chips, accepted, ~checks[SkipReason.LOW_CONFIDENCE])
    reasons: list[SkipReason | None] = [None] * len(chips.track_id)
    for reason, holds in reversed(checks.items()):
        for row in np.flatnonzero(holds & ~kept):
            reasons[row] = reason
    return reasons


def _last_resorts(chips: ChipMeasures, accepted: Mask, confident: Mask) -> Mask:
    """The best chip of each track without an accepted and with enough confident ones; of equals the earlier."""
    rows = np.flatnonzero(confident & ~np.isin(chips.track_id, chips.track_id[accepted]))
    best_first = rows[np.lexsort((rows, -chips.quality[rows], chips.track_id[rows]))]
    _, first_of_track, looks = np.unique(chips.track_id[best_first], return_index=True, return_counts=True)
    kept = np.zeros(len(accepted), bool)
    kept[best_first[first_of_track[looks >= _MIN_CONFIDENT_LOOKS]]] = True
    return kept

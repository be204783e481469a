"""Where shots begin: the rule over the cut scores of all frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A shot shorter than this is taken for a flash or the blended frames of one cut.
MIN_SHOT_FRAMES = 4
_NEIGHBOURS = 8  # frames on either side
# Typical is the 75th percentile: not the median, since film pulled up to a higher frame rate repeats frames
# and half of its scores are zero; not the maximum, since a blended frame may stand beside a cut.
_TYPICAL_PERCENTILE = 75.0


@dataclass(frozen=True, slots=True)
class CutRule:
    """A frame starts a shot when its score is at least `threshold` and at least `ratio` times what is typical
    on either side. `threshold` is None where no cuts are looked for."""

    threshold: float | None
    ratio: float


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames `start <= i < end`; `cut_score` of its first frame, None for the video's first shot."""

    start: int
    end: int
    cut_score: float | None


def find_shots(scores: NDArray[np.floating], rule: CutRule) -> list[Shot]:
    """`scores`: [N] of all frames in presentation order, NaN where unknown. No frames, no shots."""
    if not len(scores):
        return []
    starts = [0, *find_cuts(scores, rule)]
    ends = [*starts[1:], len(scores)]
    return [
        Shot(start, end, float(scores[start]) if start else None)
        for start, end in zip(starts, ends, strict=True)
    ]


def find_cuts(scores: NDArray[np.floating], rule: CutRule) -> list[int]:
    """The first frame of every shot but the first."""
    if rule.threshold is None:
        return []
    known = np.nan_to_num(np.asarray(scores, dtype=np.float64))
    passing = [i for i in np.flatnonzero(known >= rule.threshold / 2) if _is_cut(known, int(i), rule)]
    return _apart(known, [int(i) for i in passing])


def _is_cut(scores: NDArray[np.float64], i: int, rule: CutRule) -> bool:
    assert rule.threshold is not None
    if scores[i] < rule.ratio * _typical(scores, i):
        return False
    # A frame blended of both shots splits a cut into two half scores beside each other.
    beside = scores[max(i - 1, 0)], scores[min(i + 1, len(scores) - 1)]
    return bool(scores[i] >= rule.threshold or max(beside) >= rule.threshold / 2)


def _typical(scores: NDArray[np.float64], i: int) -> float:
    before = scores[max(0, i - _NEIGHBOURS) : i]
    after = scores[i + 1 : i + 1 + _NEIGHBOURS]
    return max(
        (float(np.percentile(side, _TYPICAL_PERCENTILE)) for side in (before, after) if len(side)), default=0.0
    )


def _apart(scores: NDArray[np.float64], cuts: Sequence[int]) -> list[int]:
    """The strongest of cuts that would leave a shot shorter than `MIN_SHOT_FRAMES`, the earliest of equals."""
    kept: list[int] = []
    for i in sorted(cuts, key=lambda i: (-scores[i], i)):
        edges = (0, len(scores), *kept)
        if all(abs(i - edge) >= MIN_SHOT_FRAMES for edge in edges):
            kept.append(i)
    return sorted(kept)

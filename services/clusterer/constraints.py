"""Which tracks cannot be the same person: those that are seen beside each other. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.clusterer.linkage import Indices

# Two boxes that overlap more are two detections of one face.
_DUPLICATE_IOU = 0.3
# One frame may be a detector's slip.
_MIN_FRAMES = 2
# A dissolve shows the end of one shot and the beginning of the next together for about this long.
_TRANSITION_S = 1.0
# A cut may leave one blended frame on either side.
_BLENDED_FRAMES = 1


@dataclass(frozen=True, slots=True)
class Observations:
    """Observed boxes of tracks, one per row, in any order: `frame_idx` and `track_id` int64 [N], `ts` seconds
    float64 [N], `boxes` float32 [N, 4] as x1, y1, x2, y2."""

    frame_idx: Indices
    track_id: Indices
    ts: NDArray[np.float64]
    boxes: NDArray[np.float32]


def co_visible_tracks(
    seen: Observations, cut_frames: NDArray[np.int64], *, transition_s: float = _TRANSITION_S
) -> set[tuple[int, int]]:
    """Pairs (lower, higher) of track ids that were observed as two faces in at least two frames.

    `cut_frames` int64 [C]: the first frame of each shot. Frames that touch a cut may be blends of two shots and
    do not count; nor does a pair where one track ends within `transition_s` of the other's beginning, as at a
    dissolve, where one person may be seen twice.
    """
    frames: dict[tuple[int, int], int] = defaultdict(int)
    usable = ~_touches_cut(seen.frame_idx, cut_frames)
    for rows in _rows_by_frame(seen.frame_idx, usable):
        for pair in _distinct_pairs(seen.track_id[rows], seen.boxes[rows]):
            frames[pair] += 1
    spans = _spans(seen)
    return {
        (a, b)
        for (a, b), count in frames.items()
        if count >= _MIN_FRAMES and not _hands_over(spans[a], spans[b], transition_s)
    }


def _touches_cut(frame_idx: Indices, cut_frames: NDArray[np.int64]) -> NDArray[np.bool_]:
    cuts = cut_frames[cut_frames > 0]
    blended = np.concatenate([cuts + k for k in range(-_BLENDED_FRAMES, _BLENDED_FRAMES)] or [cuts])
    return np.isin(frame_idx, blended)


def _rows_by_frame(frame_idx: Indices, usable: NDArray[np.bool_]) -> Iterator[Indices]:
    """The usable rows of each frame that has at least two."""
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(frame_idx[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(frame_idx[rows], prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(rows)]):
        if end - start > 1:
            yield rows[start:end]


def _distinct_pairs(track_id: Indices, boxes: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    apart = _iou(boxes) < _DUPLICATE_IOU
    for a, b in zip(*np.nonzero(np.triu(apart, k=1)), strict=True):
        first, second = int(track_id[a]), int(track_id[b])
        if first != second:
            yield (min(first, second), max(first, second))


def _iou(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of all pairs, [K, K] for boxes [K, 4]."""
    box = boxes.astype(np.float64)
    corner = np.minimum(box[:, None, 2:], box[None, :, 2:]) - np.maximum(box[:, None, :2], box[None, :, :2])
    shared = np.clip(corner, 0, None).prod(axis=2)
    area = np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=1)
    union = area[:, None] + area[None, :] - shared
    iou: NDArray[np.float64] = shared / np.maximum(union, 1e-9)
    return iou


def _spans(seen: Observations) -> dict[int, tuple[float, float]]:
    """Per track its first and last observed time in seconds."""
    spans: dict[int, tuple[float, float]] = {}
    for track, ts in zip(seen.track_id.tolist(), seen.ts.tolist(), strict=True):
        first, last = spans.get(track, (ts, ts))
        spans[track] = (min(first, ts), max(last, ts))
    return spans


def _hands_over(a: tuple[float, float], b: tuple[float, float], transition_s: float) -> bool:
    """Whether the earlier of two spans ends within `transition_s` of the later one's beginning."""
    if a == b:
        return False
    earlier, later = sorted((a, b))
    return earlier[1] <= later[1] and earlier[1] - later[0] <= transition_s

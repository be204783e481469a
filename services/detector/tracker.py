"""ByteTrack (Zhang et al., 2022): confident boxes are associated first, then weak boxes with what is left.

Faces are small and move far between sampled frames, so boxes are compared by buffered IoU (Yang et al.,
2023): both are widened by a share of their size. A track broken in two costs little, since clustering joins
it again; two people in one track cannot be undone. So a lost track is found again only by a close fit, which
is stricter than the paper. Steps are in seconds, and nothing outlives a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from services.detector.kalman import BoxFilter

# Shares of a box's own width and height, on each side.
_BUFFER = 0.3
_LOST_BUFFER = 0.0
# A face does not change its side by more between two sampled frames.
_MIN_SIZE_RATIO = 0.6
NO_TRACK = -1


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """`high_score`: of a box that may start a track; `match_iou`: least buffered IoU of a match."""

    high_score: float
    match_iou: float
    max_lost_s: float


@dataclass(slots=True)
class _Track:
    track_id: int
    motion: BoxFilter
    last_ts: float


class Tracker:
    """Deterministic: equal inputs give equal tracks, numbered from 0 in order of appearance."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._ts: float | None = None

    def reset(self) -> None:
        """Ends every track: a cut."""
        self._tracks.clear()

    def open_ids(self) -> set[int]:
        """Tracks that a later box could still join."""
        return {track.track_id for track in self._tracks}

    def update(self, ts: float, boxes: NDArray[Any], scores: NDArray[Any]) -> list[int]:
        """The track of each box ([N, 4] x1 y1 x2 y2) of the sampled frame at `ts` seconds, or `NO_TRACK`."""
        before = self._step(ts)
        recent = [track for track in self._tracks if track.last_ts == before]
        lost = [track for track in self._tracks if track.last_ts != before]
        confident = np.flatnonzero(scores >= self._settings.high_score).tolist()
        weak = np.flatnonzero(scores < self._settings.high_score).tolist()
        matches: dict[int, _Track] = {}
        recent = self._match(recent, boxes, confident, _BUFFER, matches)
        # A lost track's place is a guess: another face may stand there, so only a close fit counts.
        self._match(lost, boxes, confident, _LOST_BUFFER, matches)
        # A weak box goes on with a track of the frame before, and never finds a lost one.
        self._match(recent, boxes, weak, _BUFFER, matches)
        for i, track in matches.items():
            track.motion.update(boxes[i])
            track.last_ts = ts
        born = {i: self._born(boxes[i]) for i in confident if i not in matches}
        owners = matches | born
        return [owners[i].track_id if i in owners else NO_TRACK for i in range(len(scores))]

    def _step(self, ts: float) -> float | None:
        """Moves every track to `ts`, forgets those lost for too long; the time of the frame before."""
        before, self._ts = self._ts, ts
        oldest = ts - self._settings.max_lost_s
        # A track of the frame before is not lost, however long the stride.
        self._tracks = [t for t in self._tracks if t.last_ts >= oldest or t.last_ts == before]
        for track in self._tracks:
            track.motion.predict(ts - (before if before is not None else ts))
        return before

    def _match(
        self,
        tracks: list[_Track],
        boxes: NDArray[Any],
        candidates: list[int],
        buffer: float,
        matches: dict[int, _Track],
    ) -> list[_Track]:
        """Adds the best assignment of the free `candidates` to `matches`; the tracks still free."""
        free = [i for i in candidates if i not in matches]
        if not tracks or not free:
            return tracks
        predicted = np.stack([track.motion.box for track in tracks])
        overlap = iou_matrix(_buffered(predicted, buffer), _buffered(boxes[free], buffer))
        possible = (overlap >= self._settings.match_iou) & (
            _size_ratio(predicted, boxes[free]) >= _MIN_SIZE_RATIO
        )
        rows, columns = linear_sum_assignment(np.where(possible, overlap, 0.0), maximize=True)
        taken = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if possible[r, c]}
        matches.update({free[column]: tracks[row] for row, column in taken.items()})
        return [track for row, track in enumerate(tracks) if row not in taken]

    def _born(self, box: NDArray[Any]) -> _Track:
        assert self._ts is not None
        track = _Track(self._next_id, BoxFilter(box), self._ts)
        self._next_id += 1
        self._tracks.append(track)
        return track


def iou_matrix(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of boxes x1 y1 x2 y2: [N, 4] and [M, 4] give [N, M]."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    union = _area(a)[:, None] + _area(b)[None, :] - intersection
    ratio: NDArray[np.float64] = intersection / np.maximum(union, 1e-9)
    return ratio


def _area(boxes: NDArray[Any]) -> NDArray[Any]:
    areas: NDArray[Any] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return areas


def _size_ratio(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """[N, M] smaller through larger side of boxes [N, 4] and [M, 4], as squares of equal area."""
    first, second = np.sqrt(_area(a))[:, None], np.sqrt(_area(b))[None, :]
    ratio: NDArray[np.float64] = np.minimum(first, second) / np.maximum(np.maximum(first, second), 1e-9)
    return ratio


def _buffered(boxes: NDArray[Any], share: float) -> NDArray[Any]:
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.hstack([boxes[:, :2] - margin, boxes[:, 2:] + margin])

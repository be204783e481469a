"""How much a frame differs from the one before it, on a 0..255 scale: large at a hard cut.

The internal score compares two thumbnails of the decoded planes. A pixel counts only by how far it lies
outside the range of the other thumbnail's neighbourhood, so that motion up to the neighbourhood's radius
costs nothing, and luma is taken relative to its mean, so that a fade or a light switched on costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
_Thumb = NDArray[np.float32]

MAX_SCORE = 255.0
THUMB_LONG_PX = 80
_SAMPLES_PER_CELL = 4  # a cell's mean is taken over about 4 x 4 pixels, enough to drown noise
_RADIUS = 2
# Brings hard cuts to the level of PySceneDetect's scores, so that one threshold serves both.
_GAIN = 3.0
PYSCENEDETECT_LONG_PX = 256  # what its own command line scales to


class CutScorer(Protocol):
    def score(self, frame: Any) -> float | None:
        """The difference of `frame` (an `av.VideoFrame`) to the last call's; None on the first call."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Float32 planes: luma about its mean, and the two chroma planes where the video has colour."""

    planes: tuple[_Thumb, ...]

    @classmethod
    def of(cls, planes: Sequence[Plane]) -> Thumbnail:
        height, width = planes[0].shape
        cell = max(height, width) / THUMB_LONG_PX
        luma = _shrink(planes[0], round(height / cell), round(width / cell))
        chroma = (_shrink(p, round(height / cell / 2), round(width / cell / 2)) for p in planes[1:3])
        return cls((luma - luma.mean(), *chroma))


def difference(a: Thumbnail, b: Thumbnail) -> float:
    if [plane.shape for plane in a.planes] != [plane.shape for plane in b.planes]:
        return MAX_SCORE  # the stream changed its shape: spliced from another
    unmatched = sum(_unmatched(p, q) + _unmatched(q, p) for p, q in zip(a.planes, b.planes, strict=True))
    return min(MAX_SCORE, _GAIN * unmatched / 2)


def _shrink(plane: Plane, rows: int, columns: int) -> _Thumb:
    """The mean of each cell of a `rows` x `columns` grid, from a regular subset of its pixels."""
    rows, columns = min(max(rows, 1), plane.shape[0]), min(max(columns, 1), plane.shape[1])
    high, wide = plane.shape[0] // rows, plane.shape[1] // columns
    cells = plane[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
    picks_y = range(0, high, max(1, high // _SAMPLES_PER_CELL))
    picks_x = range(0, wide, max(1, wide // _SAMPLES_PER_CELL))
    # Adding strided views touches only the picked pixels; a mean over four axes costs five times as much.
    total = np.zeros((rows, columns), np.uint32)
    for y, x in product(picks_y, picks_x):
        total += cells[:, y, :, x]
    return (total / (len(picks_y) * len(picks_x))).astype(np.float32)


def _unmatched(a: _Thumb, b: _Thumb) -> float:
    """The mean distance of `a` to the range of values within `_RADIUS` cells in `b`."""
    low, high = _extreme(b, np.minimum), _extreme(b, np.maximum)
    return float(np.maximum(np.maximum(low - a, a - high), 0).mean())


def _extreme(thumb: _Thumb, pick: np.ufunc) -> _Thumb:
    rows, columns = thumb.shape
    padded = np.pad(thumb, _RADIUS, mode="edge")
    window = range(2 * _RADIUS + 1)
    down = pick.reduce([padded[i : i + rows] for i in window])
    across: _Thumb = pick.reduce([down[:, i : i + columns] for i in window])
    return across


class InternalScorer:
    def __init__(self) -> None:
        self._last: Thumbnail | None = None

    def score(self, frame: Any) -> float | None:
        thumbnail = Thumbnail.of(_planes_of(frame))
        last, self._last = self._last, thumbnail
        return None if last is None else difference(thumbnail, last)


_PLANAR_8_BIT = frozenset(
    {"gray"} | {f"yuv{full}{layout}p" for full in ("", "j") for layout in (420, 422, 440, 444)}
)


def _planes_of(frame: Any) -> list[Plane]:
    """The planes as views of the decoder's memory; a format that has none is converted at a small size."""
    if frame.format.name not in _PLANAR_8_BIT:
        scale = min(1.0, 4 * THUMB_LONG_PX / max(frame.width, frame.height))
        size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
        frame = frame.reformat(*size, format="yuv420p", threads=1)
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]


class PySceneDetectScorer:
    """`content_val` of PySceneDetect's ContentDetector: the mean change of hue, saturation and value."""

    def __init__(self) -> None:
        # Imported where asked for: it brings OpenCV into the decoder's process.
        from scenedetect import FrameTimecode, StatsManager  # noqa: PLC0415
        from scenedetect.detectors import ContentDetector  # noqa: PLC0415

        self._timecode = FrameTimecode
        self._stats = StatsManager()
        self._detector = ContentDetector()
        self._detector.stats_manager = self._stats
        self._frames = 0

    def score(self, frame: Any) -> float | None:
        scale = min(1.0, PYSCENEDETECT_LONG_PX / max(frame.width, frame.height))
        size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
        small = frame.reformat(*size, format="bgr24", interpolation="AREA", threads=1).to_ndarray()
        at = self._timecode(self._frames, fps=25.0)
        self._frames += 1
        self._detector.process_frame(at, small)
        if self._frames == 1:
            return None
        return float(self._stats.get_metrics(at, [self._detector.FRAME_SCORE_KEY])[0])

"""SCRFD (Guo et al., 2021): two anchors per cell at strides 8, 16 and 32, boxes as distances to four sides.

Graphs of this family name their outputs by numbers, so an output is known by its shape: its last axis says
what it is (1 score, 4 distances, 10 landmarks), and finer strides have more anchors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.kit.inference.session import Tensor

STRIDES = (8, 16, 32)
ANCHORS_PER_CELL = 2


def decode(outputs: Mapping[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `families.Decode`."""
    scores, distances, landmarks = (_by_stride(outputs, last_axis) for last_axis in (1, 4, 10))
    centres = [_centres(stride, height, width) for stride in STRIDES]
    boxes = [
        np.concatenate([centre - d[..., :2] * stride, centre + d[..., 2:] * stride], axis=-1)
        for centre, d, stride in zip(centres, distances, STRIDES, strict=True)
    ]
    points = [
        centre[:, None] + offsets.reshape(*offsets.shape[:2], 5, 2) * stride
        for centre, offsets, stride in zip(centres, landmarks, STRIDES, strict=True)
    ]
    return np.concatenate(boxes, 1), np.concatenate(scores, 1)[..., 0], np.concatenate(points, 1)


def _by_stride(outputs: Mapping[str, Tensor], last_axis: int) -> list[Tensor]:
    """[B, A, last_axis] of each stride, finest first; graphs for one image leave out the batch axis."""
    found = [value if value.ndim == 3 else value[None] for value in outputs.values()]
    return sorted((v for v in found if v.shape[-1] == last_axis), key=lambda v: -v.shape[1])


def _centres(stride: int, height: int, width: int) -> Tensor:
    """float32 [anchors, 2]: x, y of each anchor in input pixels."""
    row, column = np.mgrid[: -(-height // stride), : -(-width // stride)]
    cells = np.stack([column.ravel(), row.ravel()], axis=-1).astype(np.float32) * stride
    return np.repeat(cells, ANCHORS_PER_CELL, axis=0)

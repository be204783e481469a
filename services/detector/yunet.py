"""YuNet (Wu, Peng, Yu, 2023): anchor-free, one prediction per cell at strides 8, 16 and 32.

Decodes as OpenCV's `FaceDetectorYN` does. Landmarks come in the project's own order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.kit.inference.session import Tensor

STRIDES = (8, 16, 32)


def decode(outputs: Mapping[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `families.Decode`. `height` and `width` are multiples of 32."""
    parts = [_decode_stride(outputs, stride, height, width) for stride in STRIDES]
    boxes, scores, landmarks = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
    return boxes, scores, landmarks


def _decode_stride(
    outputs: Mapping[str, Tensor], stride: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    cells = _cells(height // stride, width // stride)
    bbox = outputs[f"bbox_{stride}"]
    centre = (bbox[..., :2] + cells) * stride
    half = np.exp(bbox[..., 2:]) * stride / 2
    boxes = np.concatenate([centre - half, centre + half], axis=-1)
    confidence = np.clip(outputs[f"cls_{stride}"], 0, 1) * np.clip(outputs[f"obj_{stride}"], 0, 1)
    keypoints = outputs[f"kps_{stride}"].reshape(*bbox.shape[:2], 5, 2)
    return boxes, np.sqrt(confidence[..., 0]), (keypoints + cells[:, None]) * stride


def _cells(rows: int, columns: int) -> Tensor:
    """float32 [rows * columns, 2]: the (column, row) of each cell, row by row."""
    row, column = np.mgrid[:rows, :columns]
    return np.stack([column.ravel(), row.ravel()], axis=-1).astype(np.float32)

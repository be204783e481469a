"""Families of face detectors: how the raw outputs of a graph become boxes, scores and landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from services.detector import scrfd, yunet
from services.kit.inference.session import Tensor

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one image, best first. `boxes`: [N, 4] x1 y1 x2 y2; `scores`: [N] in 0..1; `landmarks`:
    [N, 5, 2]. All float32, in pixels."""

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def scaled(self, scale_x: float, scale_y: float) -> Detections:
        scale = np.array([scale_x, scale_y], np.float32)
        return Detections(self.boxes * np.tile(scale, 2), self.scores, self.landmarks * scale)


class Decode(Protocol):
    def __call__(self, outputs: Mapping[str, Tensor], height: int, width: int) -> tuple[Floats, Floats, Floats]:
        """Of a batch fed at `height` x `width` px: boxes [B, A, 4], scores [B, A], landmarks [B, A, 5, 2] of
        every anchor, before any threshold."""


DECODERS: Mapping[str, Decode] = {"yunet": yunet.decode, "scrfd": scrfd.decode}


def suppress(anchors: Detections, *, score_threshold: float, nms_iou: float) -> Detections:
    """The anchors above the threshold that no better one overlaps by more than `nms_iou`."""
    above = np.flatnonzero(anchors.scores >= score_threshold)
    boxes, scores = anchors.boxes[above], anchors.scores[above]
    corner_and_size = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), scores.tolist(), 0.0, nms_iou)
    order = above[np.asarray(kept, dtype=np.intp).reshape(-1)]
    return Detections(anchors.boxes[order], anchors.scores[order], anchors.landmarks[order])

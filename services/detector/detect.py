"""Faces in full frames: resize, batch, infer, decode, and back to frame pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from services.detector.families import DECODERS, Detections, suppress
from services.kit.alignment import Image
from services.kit.inference.catalog import DetectorEntry
from services.kit.inference.images import to_batch
from services.kit.inference.session import Session


@dataclass(frozen=True, slots=True)
class InputSize:
    """`width` x `height`: the resized frame; `padded_*`: with the padding, right and below, that the graph
    needs. All in pixels."""

    width: int
    height: int
    padded_width: int
    padded_height: int


def input_size(frame_width: int, frame_height: int, long_side_px: int, entry: DetectorEntry) -> InputSize:
    """The size to infer at: the long side at most `long_side_px`, a small frame is not enlarged."""
    scale = min(1.0, long_side_px / max(frame_width, frame_height))
    if entry.fixed_size_px is not None:
        high, wide = entry.fixed_size_px
        scale = min(scale, high / frame_height, wide / frame_width)
    width, height = max(1, round(frame_width * scale)), max(1, round(frame_height * scale))
    if entry.fixed_size_px is not None:
        return InputSize(width, height, wide, high)
    multiple = entry.size_multiple_px
    return InputSize(width, height, -(-width // multiple) * multiple, -(-height // multiple) * multiple)


class FaceDetector:
    def __init__(
        self,
        session: Session,
        entry: DetectorEntry,
        *,
        long_side_px: int,
        score_threshold: float,
        nms_iou: float,
    ) -> None:
        self._session = session
        self._input = session.inputs[0]
        self._entry = entry
        self._decode = DECODERS[entry.family]
        self._long_side_px = long_side_px
        self._score_threshold = score_threshold
        self._nms_iou = nms_iou

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Faces of each frame (uint8 [H, W, 3] BGR, all of one size), in frame pixels. Raises `StageFailed`."""
        at_once = self._entry.max_batch or max(1, len(images))
        batches = (images[i : i + at_once] for i in range(0, len(images), at_once))
        return [found for batch in batches for found in self._detect_batch(batch)]

    def _detect_batch(self, images: Sequence[Image]) -> Iterator[Detections]:
        frame_height, frame_width = images[0].shape[:2]
        size = input_size(frame_width, frame_height, self._long_side_px, self._entry)
        batch = to_batch([_fitted(image, size) for image in images], self._entry, self._input)
        outputs = self._session.run({self._input.name: batch})
        boxes, scores, landmarks = self._decode(outputs, size.padded_height, size.padded_width)
        for anchors in map(Detections, boxes, scores, landmarks):
            faces = suppress(anchors, score_threshold=self._score_threshold, nms_iou=self._nms_iou)
            yield faces.scaled(frame_width / size.width, frame_height / size.height)


def _fitted(image: Image, size: InputSize) -> Image:
    if image.shape[:2] != (size.height, size.width):
        image = cv2.resize(image, (size.width, size.height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    right, below = size.padded_width - size.width, size.padded_height - size.height
    if not (right or below):
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)))

"""Models of the catalog as the product runs them, on one thread of the CPU: for scripts that measure models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from services.detector.detect import FaceDetector
from services.detector.face_images import Chip
from services.embedder.embedding import FaceEmbedder
from services.embedder.preprocess import align
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session

LONG_SIDE_PX = 640
SCORE_THRESHOLD, NMS_IOU = 0.5, 0.3
BATCH = 32

Vectors = NDArray[np.float32]


def open_detector(catalog: Catalog, name: str, *, score_threshold: float = SCORE_THRESHOLD) -> FaceDetector:
    return FaceDetector(
        _session(catalog, name),
        catalog.detector(name),
        long_side_px=LONG_SIDE_PX,
        score_threshold=score_threshold,
        nms_iou=NMS_IOU,
    )


class ChipEmbedder:
    """Chips to unit vectors, each model by its own template."""

    def __init__(self, catalog: Catalog, name: str) -> None:
        self.entry = catalog.embedder(name)
        self._embedder = FaceEmbedder(_session(catalog, name), self.entry, BATCH)

    def embed(self, chips: Sequence[Chip]) -> Vectors:
        """float32 [N, D]."""
        faces = [align(chip.image, chip.landmarks, self.entry) for chip in chips]
        parts = [self._embedder.embed(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.entry.dimensions), np.float32)


def _session(catalog: Catalog, name: str) -> Session:
    return open_session(catalog.path(name), requested=Provider.CPU, allow_cpu=True, threads=1)

"""Aligned faces to unit vectors, in batches the model can take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.kit.alignment import Image
from services.kit.errors import StageFailed
from services.kit.inference.catalog import EmbedderEntry
from services.kit.inference.images import to_batch
from services.kit.inference.session import Session

Vectors = NDArray[np.float32]


class FaceEmbedder:
    """`batch_size` faces per call: what was asked for, and never more than the model takes."""

    def __init__(self, session: Session, model: EmbedderEntry, batch_size: int) -> None:
        self.batch_size = min(batch_size, model.max_batch or batch_size)
        self._session = session
        self._model = model

    def embed(self, faces: Sequence[Image]) -> Vectors:
        """float32 [B, D] of unit length for B aligned faces. Raises `StageFailed` for unusable output.

        A vector without a direction is never written: it would have the same cosine with everyone.
        """
        (image_input,) = self._session.inputs
        outputs = self._session.run({image_input.name: to_batch(faces, self._model, image_input)})
        raw = outputs[self._session.outputs[0].name].reshape(len(faces), -1).astype(np.float32)
        if raw.shape[1] != self._model.dimensions:
            raise StageFailed(
                f"{self._model.name} gave {raw.shape[1]} dimensions, the catalog says {self._model.dimensions}"
            )
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise StageFailed(f"{self._model.name} gave an embedding that is zero or not finite")
        unit: Vectors = raw / norms
        return unit

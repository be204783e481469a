"""From a stored chip to the aligned face that an embedder was trained on. Pure."""

from __future__ import annotations

import cv2
import numpy as np

from services.kit.alignment import CHIP_PX, Image, Points, similarity_transform, warp
from services.kit.inference.catalog import EmbedderEntry


def decode_chip(jpeg: bytes) -> Image | None:
    """uint8 [CHIP_PX, CHIP_PX, 3] BGR; None when the bytes are no image of that size."""
    if not jpeg:
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None or image.shape != (CHIP_PX, CHIP_PX, 3):
        return None
    return image.astype(np.uint8, copy=False)


def align(chip: Image, landmarks: Points, model: EmbedderEntry) -> Image:
    """The face of `chip` at the model's alignment points, uint8 [size_px, size_px, 3] BGR.

    `landmarks` [5, 2] are in chip pixels. The template is given as shares of the side, which is how Open Model
    Zoo publishes it: a share `s` stands for pixel `s * size_px`.
    """
    template = np.asarray(model.template, np.float32) * model.size_px
    return warp(chip, similarity_transform(landmarks, template), model.size_px)

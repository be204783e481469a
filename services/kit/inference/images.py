"""Images to model input: the one place where channel order and normalisation happen, for every runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.kit.alignment import Image
from services.kit.inference.catalog import ChannelOrder, DetectorEntry, EmbedderEntry
from services.kit.inference.session import Tensor, TensorSpec


def to_batch(images: Sequence[Image], model: DetectorEntry | EmbedderEntry, spec: TensorSpec) -> Tensor:
    """uint8 [H, W, 3] BGR images of one size -> [B, 3, H, W] in the input's dtype, order and scale.

    `spec` is the session's input. Where it takes pixels and the model itself does not, a head in the graph sees
    to order and scale (`pixel_head`).
    """
    batch = np.stack(images).transpose(0, 3, 1, 2)
    if spec.dtype == "uint8" and model.input_dtype != "uint8":
        return np.ascontiguousarray(batch)
    if model.channels is ChannelOrder.RGB:
        batch = batch[:, ::-1]
    if model.input_dtype == "uint8":
        return np.ascontiguousarray(batch)
    scaled = np.ascontiguousarray(batch, dtype=np.float32)
    if any(model.mean):
        scaled -= np.asarray(model.mean, np.float32)[:, None, None]
    if any(value != 1.0 for value in model.std):
        scaled /= np.asarray(model.std, np.float32)[:, None, None]
    return scaled

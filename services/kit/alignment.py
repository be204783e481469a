"""Similarity alignment of faces by five landmarks (Umeyama, 1991), shared by chips and embedders.

All points are float arrays [5, 2] in the order of `services.kit.artifacts`; an affine map is [2, 3] and takes
source pixels to target pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Affine = NDArray[np.float32]
Image = NDArray[np.uint8]

CHIP_PX = 192
# Room around an ArcFace-style crop, as a share of the crop: every known embedder's template fits inside.
_CHIP_MARGIN = 0.25

# The 112 x 112 alignment points of ArcFace (Deng et al., 2019).
ARCFACE_112: Points = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)


def _chip_template() -> Points:
    scale = CHIP_PX / (112 * (1 + _CHIP_MARGIN))
    centred = (ARCFACE_112 - 56.0) * scale + CHIP_PX / 2
    return centred.astype(np.float32)


CHIP_TEMPLATE: Points = _chip_template()


def similarity_transform(source: Points, target: Points) -> Affine:
    """The least-squares rotation, uniform scale and translation from `source` to `target`, without mirroring.

    Degenerate points (all equal) give a pure translation.
    """
    src, dst = source.astype(np.float64), target.astype(np.float64)
    src_mean, dst_mean = src.mean(0), dst.mean(0)
    src_c, dst_c = src - src_mean, dst - dst_mean
    variance = (src_c**2).sum()
    if variance < 1e-9:
        return np.hstack([np.eye(2), (dst_mean - src_mean)[:, None]]).astype(np.float32)
    # In two dimensions the optimal rotation has a closed form: complex regression of dst on src.
    a = (src_c * dst_c).sum() / variance
    b = (src_c[:, 0] * dst_c[:, 1] - src_c[:, 1] * dst_c[:, 0]).sum() / variance
    linear = np.array([[a, -b], [b, a]])
    offset = dst_mean - linear @ src_mean
    return np.hstack([linear, offset[:, None]]).astype(np.float32)


def transform_points(points: Points, affine: Affine) -> Points:
    moved: Points = (points @ affine[:, :2].T + affine[:, 2]).astype(np.float32)
    return moved


def warp(image: Image, affine: Affine, size_px: int) -> Image:
    """`image` (uint8 [H, W, 3]) seen through `affine`, uint8 [size_px, size_px, 3], borders replicated.

    A face that shrinks by more than two is low-passed first, since bilinear sampling alone would alias.
    """
    scale = float(np.hypot(affine[0, 0], affine[1, 0]))
    if scale < 0.5:
        return _warp_shrinking(image, affine, size_px, scale)
    return _warp(image, affine, size_px)


def _warp_shrinking(image: Image, affine: Affine, size_px: int, scale: float) -> Image:
    corners = cv2.transform(
        np.array([[[0, 0], [size_px, 0], [size_px, size_px], [0, size_px]]], np.float32),
        cv2.invertAffineTransform(affine),
    )[0]
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(corners.min(0)).astype(int), 0, [width - 1, height - 1])
    x2, y2 = np.clip(np.ceil(corners.max(0)).astype(int) + 1, [x1 + 1, y1 + 1], [width, height])
    region = image[y1:y2, x1:x2]
    # A face that barely touches the image leaves a sliver, which must not shrink to nothing.
    small_px = [max(1, round(side * 2 * scale)) for side in (region.shape[1], region.shape[0])]
    small: Image = cv2.resize(region, small_px, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    ratio = np.array([small.shape[1] / region.shape[1], small.shape[0] / region.shape[0]])
    moved = affine.astype(np.float64).copy()
    # cv2.resize maps pixel centres: frame = corner + (small + 0.5) / ratio - 0.5.
    moved[:, 2] += moved[:, :2] @ (np.array([x1, y1]) + 0.5 / ratio - 0.5)
    moved[:, :2] /= ratio
    return _warp(small, moved.astype(np.float32), size_px)


def _warp(image: Image, affine: Affine, size_px: int) -> Image:
    flags: Any = cv2.INTER_LINEAR
    warped: Image = cv2.warpAffine(
        image, affine, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)
    return warped

"""What a camera and a codec do to a face: the student sees this, the teacher saw the clean crop."""

from __future__ import annotations

import cv2
import numpy as np
from crops import STORE_PX, TEACHER_PX
from numpy.typing import NDArray
from sources import Image

STUDENT_PX = 96
CLEAN_SHARE = 0.2


def view(crop: Image, rng: np.random.Generator) -> Image:
    """A crop of STORE_PX as the student's input, uint8 [STUDENT_PX, STUDENT_PX, 3] BGR, with some harm done."""
    if rng.random() < CLEAN_SHARE:
        return clean_view(crop)
    seen = _aligned_badly(crop, rng)
    if rng.random() < 0.4:
        seen = _small(seen, rng)
    if rng.random() < 0.2:
        seen = _blurred(seen, rng)
    lit = _lit(seen.astype(np.float32), rng)
    if rng.random() < 0.25:
        lit += rng.normal(0, rng.uniform(1, 9), lit.shape).astype(np.float32)
    seen = np.clip(lit, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        seen = _hidden(seen, rng)
    if rng.random() < 0.35:
        seen = compressed(seen, int(rng.integers(25, 90)))
    return seen


def clean_view(crop: Image) -> Image:
    """The crop as the student is fed in the product."""
    return _placed(crop, 0.0, 1.0, (0.0, 0.0))


def _aligned_badly(crop: Image, rng: np.random.Generator) -> Image:
    shift = rng.normal(0, 1.8, 2)
    return _placed(crop, float(rng.normal(0, 3.5)), float(np.exp(rng.normal(0, 0.045))), (shift[0], shift[1]))


def _placed(crop: Image, turn_deg: float, zoom: float, shift_px: tuple[float, float]) -> Image:
    scale = STUDENT_PX / TEACHER_PX
    middle = (STORE_PX - 1) / 2
    affine = cv2.getRotationMatrix2D((middle, middle), turn_deg, scale * zoom)
    affine[:, 2] += (STUDENT_PX - 1) / 2 - middle + np.array(shift_px)
    return np.asarray(
        cv2.warpAffine(
            crop, affine, (STUDENT_PX, STUDENT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def _small(image: Image, rng: np.random.Generator) -> Image:
    """A face far away, enlarged again."""
    side = int(rng.integers(26, 80))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_CUBIC if rng.random() < 0.3 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, (STUDENT_PX, STUDENT_PX), interpolation=how), np.uint8)


def _blurred(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.8))), np.uint8)
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, float(rng.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return np.asarray(cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-3)), np.uint8)


def _lit(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    if rng.random() < 0.3:
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
        y, x = np.mgrid[-1 : 1 : STUDENT_PX * 1j, -1 : 1 : STUDENT_PX * 1j]
        image = image * (1 + depth * (np.cos(angle) * x + np.sin(angle) * y))[..., None].astype(np.float32)
    if rng.random() < 0.5:
        gamma = float(np.exp(rng.normal(0, 0.25)))
        image = np.asarray(255 * np.clip(image / 255, 0, 1) ** gamma, np.float32)
    image = image * float(np.exp(rng.normal(0, 0.18))) + float(rng.normal(0, 10))
    image = image * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.12:
        grey = image @ np.array([0.114, 0.587, 0.299], np.float32)
        image = np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image, np.float32)


def _hidden(image: Image, rng: np.random.Generator) -> Image:
    """A hand, a microphone, hair: something plain before a part of the face."""
    image = image.copy()
    wide, high = rng.integers(10, 40, 2)
    x, y = int(rng.integers(-10, STUDENT_PX - 5)), int(rng.integers(-10, STUDENT_PX - 5))
    colour = rng.integers(0, 256, 3)
    image[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)] = colour
    return image


def compressed(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

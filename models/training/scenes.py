"""Pictures with faces of every size on every ground, for the student detector; the teacher says where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from drawn import HEIGHT, WIDTH, drawn_photos
from numpy.typing import NDArray
from sources import Image, Split, frames, people, read_image
from views import compressed

from services.cli.sample.framing import PLACES
from services.cli.sample.scenery import draw_place

SCENE_PX = 320
FRAMES_APART = 3
_LARGEST_STORED_PX = 960


@dataclass(frozen=True)
class Material:
    """`photos` have a face in the middle; `stills` are frames of clips and drawings; `grounds` have no face."""

    photos: list[Image]
    stills: list[Image]
    grounds: list[Image]

    @classmethod
    def gather(cls, media: Path, *, drawn_looks: int, seed: int) -> Material:
        split = Split.load()
        photos = [
            read_image(path)
            for name, paths in people(media)
            if name not in split.people_held_out
            for path in paths
        ]
        clips = [
            _at_most(image)
            for clip in split.clips_for_training
            for _, image in frames(media / clip, FRAMES_APART)
        ]
        drawings = [image for _, image in drawn_photos(drawn_looks, seed)]
        places = [draw_place(i % PLACES, seed=seed + i, width=WIDTH, height=HEIGHT) for i in range(4 * PLACES)]
        return cls(photos, clips + drawings, places)


def _at_most(image: Image) -> Image:
    scale = _LARGEST_STORED_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def scene(material: Material, rng: np.random.Generator) -> Image:
    """uint8 [SCENE_PX, SCENE_PX, 3] BGR."""
    kind = rng.random()
    if kind < 0.30:
        made = _window(_one(material.stills, rng), rng)
    elif kind < 0.40:
        made = _close_up(_one(material.photos, rng), rng)
    else:
        made = _ground(material, rng)
        for _ in range(int(rng.choice([0, 1, 1, 2, 3, 4, 6, 9]))):
            made = _pasted(made, _one(material.photos, rng), rng)
    return _photographed(made, rng)


def _one(images: list[Image], rng: np.random.Generator) -> Image:
    image = images[int(rng.integers(len(images)))]
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def _window(image: Image, rng: np.random.Generator) -> Image:
    """A square cut of a picture, enlarged or made smaller, perhaps turned and squeezed."""
    short = min(image.shape[:2])
    side = short * float(rng.uniform(0.35, 1.3))
    scale = SCENE_PX / side
    x = float(rng.uniform(-0.1 * side, max(1.0, image.shape[1] - 0.9 * side)))
    y = float(rng.uniform(-0.1 * side, max(1.0, image.shape[0] - 0.9 * side)))
    return _moved(image, (x + side / 2, y + side / 2), scale, rng, SCENE_PX)


def _close_up(photo: Image, rng: np.random.Generator) -> Image:
    """A face that fills the picture or more."""
    middle = photo.shape[0] / 2
    centre = (middle + float(rng.normal(0, 18)), middle + float(rng.normal(0, 18)))
    return _moved(photo, centre, float(rng.uniform(1.6, 4.5)), rng, SCENE_PX)


def _moved(
    image: Image, centre: tuple[float, float], scale: float, rng: np.random.Generator, size_px: int
) -> Image:
    """`centre` of the image comes to the middle; turned, and squeezed as a turned head is."""
    turn = float(rng.normal(0, 8)) if rng.random() < 0.85 else float(rng.uniform(-60, 60))
    squeeze = float(np.exp(rng.normal(-0.05, 0.12)))
    affine = cv2.getRotationMatrix2D(centre, turn, scale)
    affine[0] *= squeeze
    affine[:, 2] = np.array([size_px / 2, size_px / 2]) - affine[:, :2] @ np.array(centre)
    if scale < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / scale), np.uint8)
    border = cv2.BORDER_REFLECT_101 if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpAffine(image, affine, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
    )


def _ground(material: Material, rng: np.random.Generator) -> Image:
    kind = rng.random()
    if kind < 0.3:
        return _window(_one(material.grounds, rng), rng)
    if kind < 0.6:
        return _window(_one(material.stills, rng), rng)
    if kind < 0.8:
        blurred = cv2.GaussianBlur(_one(material.photos, rng), (0, 0), float(rng.uniform(4, 14)))
        return np.asarray(cv2.resize(blurred, (SCENE_PX, SCENE_PX)), np.uint8)
    cells = int(rng.integers(1, 24))
    noise = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    how = cv2.INTER_CUBIC if rng.random() < 0.6 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(noise, (SCENE_PX, SCENE_PX), interpolation=how), np.uint8)


def _pasted(scene_image: Image, photo: Image, rng: np.random.Generator) -> Image:
    """A photo somewhere in the scene; small ones are many, since far faces are many."""
    side = int(np.exp(rng.uniform(np.log(22), np.log(300))))
    patch = _moved(photo, (photo.shape[1] / 2, photo.shape[0] / 2), side / photo.shape[0], rng, side)
    x, y = (int(v) for v in rng.integers(-side // 3, SCENE_PX - side // 2, 2))
    left, top = max(0, x), max(0, y)
    right, bottom = min(SCENE_PX, x + side), min(SCENE_PX, y + side)
    cut = (slice(top - y, bottom - y), slice(left - x, right - x))
    mask = _paste_mask(side, rng)[cut][..., None]
    area = (slice(top, bottom), slice(left, right))
    made = scene_image.copy()
    made[area] = (made[area] * (1 - mask) + patch[cut] * mask).astype(np.uint8)
    return made


def _paste_mask(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 within, falling off at the edge: a hard square, a soft one, or an oval as of a head cut out."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    kind = rng.random()
    distance = np.maximum(abs(x), abs(y)) if kind < 0.6 else np.sqrt((x / 0.85) ** 2 + y**2)
    softness = 0.01 if kind < 0.3 else float(rng.uniform(0.05, 0.3))
    return np.clip((1.0 - distance) / softness, 0, 1).astype(np.float32)


def _photographed(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))), np.uint8)
    lit = image.astype(np.float32)
    if rng.random() < 0.7:
        lit = lit * float(np.exp(rng.normal(0, 0.22))) * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
        lit += float(rng.normal(0, 12))
    if rng.random() < 0.1:
        lit = np.repeat(lit.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.2:
        lit += rng.normal(0, float(rng.uniform(1, 8)), lit.shape).astype(np.float32)
    seen = np.clip(lit, 0, 255).astype(np.uint8)
    if rng.random() < 0.04:
        seen = np.ascontiguousarray(seen[::-1])
    return compressed(seen, int(rng.integers(35, 95))) if rng.random() < 0.4 else seen

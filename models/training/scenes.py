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
FRAMES_APART = 2
_LARGEST_STORED_PX = 960


@dataclass(frozen=True)
class Material:
    """`photos` have a face in the middle; `clips` are frames, a list each; `grounds` have no face."""

    photos: list[Image]
    clips: list[list[Image]]
    drawings: list[Image]
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
            [_at_most(image) for _, image in frames(media / clip, FRAMES_APART)]
            for clip in split.clips_for_training
        ]
        drawings = [image for _, image in drawn_photos(drawn_looks, seed)]
        places = [draw_place(i % PLACES, seed=seed + i, width=WIDTH, height=HEIGHT) for i in range(4 * PLACES)]
        return cls(photos, clips, drawings, places)

    def still(self, rng: np.random.Generator) -> Image:
        """A frame of a clip: mostly of the first, which has a crowd that looks every way."""
        shares = np.array([2.0, *(1.0 for _ in self.clips[1:])])
        return _one(self.clips[int(rng.choice(len(self.clips), p=shares / shares.sum()))], rng)


def _at_most(image: Image) -> Image:
    scale = _LARGEST_STORED_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def scene(material: Material, rng: np.random.Generator, *, hard: bool) -> Image:
    """uint8 [SCENE_PX, SCENE_PX, 3] BGR; `hard` ones have turned and half hidden faces, and little light."""
    kind = rng.random()
    if kind < 0.28:
        made = _window(material.still(rng), rng)
    elif kind < 0.34:
        made = _window(_one(material.drawings, rng), rng)
    elif kind < 0.46:
        made = _close_up(_photo(material, rng, hard=hard), rng)
    else:
        made = _ground(material, rng)
        for _ in range(int(rng.choice([0, 1, 2, 2, 3, 4, 6, 9]))):
            made = _pasted(made, _photo(material, rng, hard=hard), rng)
    if hard and rng.random() < 0.4:
        made = _ill_lit(made, rng)
    return _photographed(made, rng)


def _photo(material: Material, rng: np.random.Generator, *, hard: bool) -> Image:
    photo = _one(material.photos, rng)
    if not hard:
        return photo
    if rng.random() < 0.45:
        photo = _head_turned(photo, rng)
    if rng.random() < 0.2:
        photo = _half_hidden(photo, rng)
    return photo


def _head_turned(photo: Image, rng: np.random.Generator) -> Image:
    """One half of the face foreshortened, the other drawn out, as when a head turns away, up to a profile."""
    high, wide = photo.shape[:2]
    nose = float(rng.uniform(0.1, 0.53)) * (1 if rng.random() < 0.5 else -1)
    x = np.linspace(-1, 1, wide, dtype=np.float32) * float(rng.uniform(1.0, 1.5))
    side = 0.6  # of a face in these photos, where 1 is the edge of the picture
    source = np.interp(x, [-1, -side, nose, side, 1], [-1, -side, 0, side, 1]).astype(np.float32)
    smooth = cv2.GaussianBlur(source[None], (0, 0), wide / 40)[0]
    map_x = np.tile(((smooth + 1) / 2 * (wide - 1)).astype(np.float32), (high, 1))
    map_y = np.repeat(np.arange(high, dtype=np.float32)[:, None], wide, axis=1)
    turned = cv2.remap(photo, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)


def _half_hidden(photo: Image, rng: np.random.Generator) -> Image:
    """Something before a side, the top or the bottom of the face: a colour, or another part of the photo."""
    high, wide = photo.shape[:2]
    cut = float(rng.uniform(0.25, 0.55))
    cover = np.empty_like(photo)
    cover[:] = rng.integers(0, 256, 3) if rng.random() < 0.5 else photo[: high // 8, : wide // 8].mean((0, 1))
    side = int(rng.integers(4))
    x, y = np.meshgrid(np.linspace(0, 1, wide), np.linspace(0, 1, high))
    distance = (x, 1 - x, y, 1 - y)[side] + rng.normal(0, 0.15) * (y - 0.5 if side < 2 else x - 0.5)
    mask = np.clip((cut - distance) * float(rng.choice([12.0, 80.0])), 0, 1)[..., None]
    return np.asarray(photo * (1 - mask) + cover * mask, np.uint8)


def _ill_lit(image: Image, rng: np.random.Generator) -> Image:
    """Dim, flat, or lit from one side."""
    lit = image.astype(np.float32)
    if rng.random() < 0.5:
        angle, depth = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.3, 0.95))
        y, x = np.mgrid[-1 : 1 : SCENE_PX * 1j, -1 : 1 : SCENE_PX * 1j].astype(np.float32)
        lit *= (1 + depth * (np.cos(angle) * x + np.sin(angle) * y))[..., None]
    lit *= float(rng.uniform(0.15, 0.8))
    if rng.random() < 0.4:
        lit = lit * float(rng.uniform(0.4, 0.8)) + float(rng.uniform(0, 60))
    return np.clip(lit, 0, 255).astype(np.uint8)


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
    turn = float(rng.normal(0, 14)) if rng.random() < 0.85 else float(rng.uniform(-60, 60))
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
        return _window(material.still(rng), rng)
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

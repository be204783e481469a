"""Faces that nobody has: blends of aligned crops, made from a seed, for the student to match the teacher on.

A few hundred people are too few to learn from; but the teacher answers for any face, so each blend is one more
person. A recipe is a number: the same number over the same crops gives the same face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from crops import STORE_PX, Crops
from numpy.typing import NDArray
from sources import Image

Floats = NDArray[np.float32]

DRAWN_SHARE, CLIP_SHARE = 0.06, 0.06
# Soft-edged bands of a crop that one face can lend another, as shares of its height.
_BANDS = ((0.0, 0.42), (0.38, 0.55), (0.55, 0.70), (0.68, 1.0), (0.0, 0.56), (0.56, 1.0))


@dataclass(frozen=True)
class Pantry:
    """Crops by kind of source; within photos every person is drawn equally often."""

    crops: Crops
    photos: tuple[NDArray[np.intp], ...]
    clips: NDArray[np.intp]
    drawn: NDArray[np.intp]

    @classmethod
    def of(cls, crops: Crops) -> Pantry:
        members = [np.flatnonzero(crops.groups == group) for group in range(len(crops.names))]
        named = list(zip(crops.names, members, strict=True))
        return cls(
            crops,
            tuple(rows for name, rows in named if not _is_clip(name) and not _is_drawn(name)),
            np.concatenate([rows for name, rows in named if _is_clip(name)]),
            np.concatenate([rows for name, rows in named if _is_drawn(name)]),
        )

    def pick(self, rng: np.random.Generator, kind: float) -> Floats:
        """A crop, perhaps mirrored; `kind` in 0..1 chooses the source."""
        if kind < DRAWN_SHARE:
            row = rng.choice(self.drawn)
        elif kind < DRAWN_SHARE + CLIP_SHARE:
            row = rng.choice(self.clips)
        else:
            row = rng.choice(self.photos[int(rng.integers(len(self.photos)))])
        image = self.crops.images[row]
        return (image[:, ::-1] if rng.random() < 0.5 else image).astype(np.float32)


def face(pantry: Pantry, seed: int, number: int) -> Image:
    """uint8 [STORE_PX, STORE_PX, 3] BGR."""
    rng = np.random.default_rng([seed, number])
    kind = rng.random()
    made = pantry.pick(rng, kind)
    method = rng.random()
    if method >= 0.3:
        # Drawn faces blend among themselves: half a drawing is no face.
        other = pantry.pick(rng, kind if kind < DRAWN_SHARE else 1.0)
        made = _mean(made, other, rng) if method < 0.65 else _patched(made, other, rng)
        if method >= 0.9 and kind >= DRAWN_SHARE:
            made = _mean(made, pantry.pick(rng, 1.0), rng)
    if rng.random() < 0.7:
        made = _stretched(made, rng)
    return np.clip(made, 0, 255).astype(np.uint8)


def _mean(a: Floats, b: Floats, rng: np.random.Generator) -> Floats:
    share = float(rng.uniform(0.25, 0.75))
    return np.asarray(a * share + b * (1 - share), np.float32)


def _patched(a: Floats, b: Floats, rng: np.random.Generator) -> Floats:
    """`a` with a band of `b`, in the colours of `a`."""
    inner = slice(STORE_PX // 4, -STORE_PX // 4)
    mean_a, mean_b = (x[inner, inner].mean((0, 1)) for x in (a, b))
    std_a, std_b = (x[inner, inner].std((0, 1)) + 1.0 for x in (a, b))
    matched = (b - mean_b) * (std_a / std_b) + mean_a
    top, bottom = _BANDS[int(rng.integers(len(_BANDS)))]
    rows = np.arange(STORE_PX, dtype=np.float32) / STORE_PX
    band = 1 / (1 + np.exp(-(rows - top) * 40)) * 1 / (1 + np.exp((rows - bottom) * 40))
    mask = band[:, None, None] * float(rng.uniform(0.7, 1.0))
    return np.asarray(a * (1 - mask) + matched * mask, np.float32)


def _stretched(image: Floats, rng: np.random.Generator) -> Floats:
    """Another shape of skull and features: smooth, random, and a little wider or narrower."""
    grid = rng.normal(0, 2.2, (5, 5, 2)).astype(np.float32)
    shift = cv2.resize(grid, (STORE_PX, STORE_PX), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:STORE_PX, :STORE_PX].astype(np.float32)
    middle = STORE_PX / 2
    wide, high = np.exp(rng.normal(0, 0.05, 2))
    map_x = ((x - middle) * wide + middle + shift[..., 0]).astype(np.float32)
    map_y = ((y - middle) * high + middle + shift[..., 1]).astype(np.float32)
    return np.asarray(
        cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _is_clip(name: str) -> bool:
    return name.endswith((".mp4", ".mkv"))


def _is_drawn(name: str) -> bool:
    return name.startswith("drawn-")

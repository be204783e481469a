"""Drawn people for training: mixtures of the sample's cast, none of them a member of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
from sources import Image

from services.cli.sample.cast import CAST
from services.cli.sample.framing import PLACES, frame_shot
from services.cli.sample.look import Look
from services.cli.sample.scenery import draw_place
from services.cli.sample.shooting import shoot
from services.cli.sample.truth import Shot

WIDTH, HEIGHT, FPS = 640, 360, 1
SHOTS_PER_LOOK = 2
_MIXED = ("size", "head", "eyes", "brows", "nose", "mouth", "skin", "hair", "beard", "glasses", "clothes")


def drawn_photos(looks: int, seed: int) -> Iterator[tuple[str, Image]]:
    """Pictures of `looks` drawn people (name, uint8 [HEIGHT, WIDTH, 3] BGR), several of each."""
    for index in range(looks):
        look = mixed_look(np.random.default_rng([seed, 11, index]))
        name = f"drawn-{index:04d}"
        for take in range(SHOTS_PER_LOOK):
            yield name, _photo(name, look, seed=seed + 1000 + index * SHOTS_PER_LOOK + take)


def _photo(name: str, look: Look, *, seed: int) -> Image:
    shot = Shot(seed % PLACES, 0, 1, (name,), "start")
    framing = frame_shot(shot, seed=seed, width=WIDTH, height=HEIGHT)
    place = draw_place(framing.place, seed=seed, width=WIDTH, height=HEIGHT)
    pictures = shoot(shot, framing, {name: look}, place, width=WIDTH, height=HEIGHT, fps=FPS)
    return next(iter(pictures))[0]


def mixed_look(rng: np.random.Generator) -> Look:
    """Each feature is another cast member's, with its numbers moved a little."""
    parents = {name: CAST[int(rng.integers(len(CAST)))] for name in _MIXED}
    features = {name: _moved(getattr(parent, name), rng) for name, parent in parents.items()}
    return replace(CAST[0], description="drawn for training", seed=int(rng.integers(1 << 20)), **features)


def _moved(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, float):
        return float(value * np.exp(rng.normal(0, 0.08)))
    if isinstance(value, tuple):
        return tuple(float(np.clip(part * np.exp(rng.normal(0, 0.15)), 0.01, 0.95)) for part in value)
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{f.name: _moved(getattr(value, f.name), rng) for f in fields(value)})
    return value

"""The images that the default models learn from, and what is kept from them.

A media folder holds `faces/lfw158/<person>/*.jpg` and video clips; `split.toml` names what is held out.
Images are uint8 [H, W, 3] BGR.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    clips_for_training: tuple[str, ...]
    clips_held_out: tuple[str, ...]
    people_held_out: frozenset[str]

    @classmethod
    def load(cls) -> Split:
        record = tomllib.loads(Path(__file__).with_name("split.toml").read_text("utf-8"))
        return cls(
            tuple(record["clips_for_training"]),
            tuple(record["clips_held_out"]),
            frozenset(record["people_held_out"]),
        )


def people(media: Path) -> list[tuple[str, list[Path]]]:
    """Every person's photos, in alphabetical order. Raises `FileNotFoundError` without any."""
    folders = sorted(folder for folder in (media / "faces" / "lfw158").iterdir() if folder.is_dir())
    return [(folder.name, sorted(folder.glob("*.jpg"))) for folder in folders]


def read_image(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is no image")
    return np.asarray(image, dtype=np.uint8)


def frames(clip: Path, every: int) -> Iterator[tuple[int, Image]]:
    """Every `every`-th frame of a clip with its number, upright."""
    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield index, _upright(frame)


def _upright(frame: av.VideoFrame) -> Image:
    image = frame.to_ndarray(format="bgr24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns), dtype=np.uint8)

"""Aligned crops of every face, as training of the embedder reads them.

A crop is STORE_PX wide: the teacher's aligned input of TEACHER_PX with MARGIN_PX around it, so that a view can
be turned and shifted without leaving the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from drawn import drawn_photos
from numpy.typing import NDArray
from sources import Image, Split, frames, people, read_image

from services.detector.detect import FaceDetector
from services.detector.families import Detections
from services.kit.alignment import similarity_transform, warp
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider

TEACHER_DETECTOR = "yunet-n"
TEACHER_EMBEDDER = "face-reidentification-retail-0095"
TEACHER_PX, MARGIN_PX = 128, 16
STORE_PX = TEACHER_PX + 2 * MARGIN_PX
SMALLEST_FACE_PX = 40
FRAMES_APART = 5


@dataclass(frozen=True)
class Crops:
    """`images`: uint8 [N, STORE_PX, STORE_PX, 3] BGR; `groups`: int32 [N], index into `names`."""

    images: NDArray[np.uint8]
    groups: NDArray[np.int32]
    names: tuple[str, ...]

    def save(self, path: Path) -> None:
        np.savez(path, images=self.images, groups=self.groups, names=np.array(self.names))

    @classmethod
    def load(cls, path: Path) -> Crops:
        with np.load(path) as record:
            return cls(record["images"], record["groups"], tuple(map(str, record["names"])))


def teacher_detector(models: Path, *, threads: int, score_threshold: float = 0.6) -> FaceDetector:
    catalog = Catalog.load(models)
    session = open_session(
        catalog.path(TEACHER_DETECTOR), requested=Provider.CPU, allow_cpu=True, threads=threads
    )
    entry = catalog.detector(TEACHER_DETECTOR)
    return FaceDetector(session, entry, long_side_px=1280, score_threshold=score_threshold, nms_iou=0.3)


def store_template(models: Path) -> NDArray[np.float32]:
    """Where the five landmarks belong in a crop, in pixels."""
    template = np.array(Catalog.load(models).embedder(TEACHER_EMBEDDER).template, np.float32)
    return (template * TEACHER_PX + MARGIN_PX).astype(np.float32)


class Cropper:
    def __init__(self, media: Path, models: Path) -> None:
        self._media = media
        self._detector = teacher_detector(models, threads=1)
        self._template = store_template(models)
        self._split = Split.load()

    def photos(self, *, held_out: bool) -> Crops:
        """One group a person of the labelled photos, those held out or the others."""
        found: dict[str, list[Image]] = {}
        for name, paths in people(self._media):
            if (name in self._split.people_held_out) is held_out:
                crops = [self._central(read_image(path)) for path in paths]
                found[name] = [crop for crop in crops if crop is not None]
        return _gather(found)

    def clips(self) -> Crops:
        """One group a clip: who is who in it is not known, and need not be."""
        found: dict[str, list[Image]] = {}
        for clip in self._split.clips_for_training:
            for _, image in frames(self._media / clip, FRAMES_APART):
                (faces,) = self._detector.detect([image])
                found.setdefault(clip, []).extend(self._crop(image, faces, i) for i in _large(faces))
        return _gather(found)

    def drawn(self, looks: int, seed: int) -> Crops:
        """One group a drawn person, none of them of the sample's cast."""
        found: dict[str, list[Image]] = {}
        for name, image in drawn_photos(looks, seed):
            (faces,) = self._detector.detect([image])
            found.setdefault(name, []).extend(self._crop(image, faces, i) for i in _large(faces)[:1])
        return _gather(found)

    def _central(self, image: Image) -> Image | None:
        (faces,) = self._detector.detect([image])
        if not len(faces):
            return None
        middle = np.array([image.shape[1], image.shape[0]]) / 2
        centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        return self._crop(image, faces, int(np.linalg.norm(centres - middle, axis=1).argmin()))

    def _crop(self, image: Image, faces: Detections, i: int) -> Image:
        return warp(image, similarity_transform(faces.landmarks[i], self._template), STORE_PX)


def _large(faces: Detections) -> list[int]:
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(1) if len(faces) else np.empty(0)
    return [int(i) for i in np.flatnonzero(sides >= SMALLEST_FACE_PX)]


def _gather(found: dict[str, list[Image]]) -> Crops:
    names = tuple(name for name, images in found.items() if images)
    images = np.stack([image for name in names for image in found[name]])
    groups = np.repeat(np.arange(len(names)), [len(found[name]) for name in names]).astype(np.int32)
    return Crops(images, groups, names)


def joined(parts: list[Crops]) -> Crops:
    starts = np.cumsum([0, *(len(part.names) for part in parts)])
    return Crops(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.groups + start for part, start in zip(parts, starts, strict=False)]).astype(
            np.int32
        ),
        tuple(name for part in parts for name in part.names),
    )

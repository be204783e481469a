"""How well the sample's drawn faces are found and told apart by models of the catalog.

    python bench/sample_cast.py [--models DIR] [--detector NAME] [--embedder NAME ...] [--seed 1] [--json]

Draws the sample, decodes it again, and measures on every fifth frame, as the product would see it: the detector
on a picture of 640 px on the long side, chips aligned by the found landmarks, a track prototype (the mean of
six chips) per person and shot. Without names, the catalog's defaults are measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from opened import ChipEmbedder, open_detector

from services.cli.sample import SampleTruth, write_sample
from services.cli.sample.truth import FaceBox
from services.detector.detect import FaceDetector
from services.detector.face_images import Chip, cut_chip
from services.detector.families import Detections
from services.kit.inference.catalog import Catalog

STRIDE = 5
WIDE_ENOUGH_PX = 80
FOUND_SCORE = 0.7
CHIPS_PER_TRACK = 6

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detection:
    """Pixels of the full picture."""

    x: float
    y: float
    w: float
    h: float
    landmarks: Points
    score: float
    chip: Chip


@dataclass(frozen=True)
class Sighting:
    """A drawn face in a sampled frame beside the detection that covers it, if one does."""

    face: FaceBox
    detection: Detection | None

    @property
    def score(self) -> float:
        return self.detection.score if self.detection else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, help="a folder with more models than those that ship")
    parser.add_argument("--detector")
    parser.add_argument("--embedder", action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=40.0)
    parser.add_argument("--json", action="store_true", help="one line instead of a table")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    catalog = Catalog.load(args.models)
    detector = args.detector or catalog.default("detector")
    embedders = args.embedder or [catalog.default("embedder")]
    figures = measure(catalog, detector, embedders, args.seed, args.duration)
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:22} {value}" for name, value in figures.items()))


def measure(
    catalog: Catalog, detector: str, embedders: list[str], seed: int, duration_s: float
) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "sample.mp4"
        truth = write_sample(video, seed=seed, duration_s=duration_s)
        sightings, false_positives = look(video, truth, open_detector(catalog, detector))
    figures: dict[str, object] = {
        "detector": detector,
        "seed": seed,
        "duration_s": truth.duration_s,
        "cast": len(truth.cast),
    }
    figures |= detector_figures(sightings) | {"false_positives": false_positives}
    for name in embedders:
        figures[name] = embedder_figures(truth, sightings, ChipEmbedder(catalog, name))
    return figures


def look(video: Path, truth: SampleTruth, detector: FaceDetector) -> tuple[list[Sighting], int]:
    """Every drawn face of the sampled frames, and the number of detections away from all of them."""
    drawn: dict[int, list[FaceBox]] = {}
    for face in truth.boxes:
        drawn.setdefault(face.frame, []).append(face)
    sightings: list[Sighting] = []
    false_positives = 0
    for index, picture in sampled(video):
        (found,) = detector.detect([picture])
        detections = [to_detection(picture, found, i) for i in range(len(found))]
        faces = drawn.get(index, [])
        sightings += [Sighting(face, best_cover(face, detections)) for face in faces]
        false_positives += sum(all(iou(face, found) < 0.3 for face in faces) for found in detections)
    return sightings, false_positives


def sampled(video: Path) -> Iterator[tuple[int, Picture]]:
    with av.open(video) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % STRIDE == 0:
                yield index, np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def to_detection(picture: Picture, found: Detections, i: int) -> Detection:
    x1, y1, x2, y2 = (float(value) for value in found.boxes[i])
    chip = cut_chip(picture, found, i)
    return Detection(x1, y1, x2 - x1, y2 - y1, found.landmarks[i], float(found.scores[i]), chip)


def best_cover(face: FaceBox, detections: list[Detection]) -> Detection | None:
    covering = [found for found in detections if iou(face, found) >= 0.5]
    return max(covering, key=lambda found: found.score, default=None)


def iou(a: FaceBox, b: Detection) -> float:
    across = max(0.0, min(a.x + a.w, b.x + b.w) - max(a.x, b.x))
    down = max(0.0, min(a.y + a.h, b.y + b.h) - max(a.y, b.y))
    return across * down / (a.w * a.h + b.w * b.h - across * down)


def landmark_error(face: FaceBox, found: Detection) -> float:
    """Mean distance of the five landmarks, in eye distances."""
    drawn = np.array(face.landmarks)
    distances = np.linalg.norm(found.landmarks - drawn, axis=1)
    return float(distances.mean() / np.linalg.norm(drawn[1] - drawn[0]))


def detector_figures(sightings: list[Sighting]) -> dict[str, float]:
    wide = [s for s in sightings if s.face.w >= WIDE_ENOUGH_PX]
    pairs = [(s.face, s.detection) for s in sightings if s.detection]
    errors = [landmark_error(face, found) for face, found in pairs]
    return {
        "faces": len(sightings),
        "faces_wide_enough": len(wide),
        "narrowest_px": round(min(s.face.w for s in sightings), 1),
        "widest_px": round(max(s.face.w for s in sightings), 1),
        "recall": round(sum(s.score >= FOUND_SCORE for s in wide) / len(wide), 4),
        "score_min": round(min(s.score for s in wide), 3),
        "box_iou_mean": round(statistics.fmean(iou(face, found) for face, found in pairs), 3),
        "landmark_error_mean": round(statistics.fmean(errors), 4),
        "landmark_error_max": round(max(errors), 4),
    }


def embedder_figures(truth: SampleTruth, sightings: list[Sighting], embedder: ChipEmbedder) -> dict[str, float]:
    """Cosines between the prototypes of all tracks: `within` a person, `between` two."""
    tracks = [
        (person, prototype(embedder, chips))
        for shot in truth.shots
        for person in shot.persons
        if (chips := chips_of(sightings, person, range(shot.start_frame, shot.end_frame + 1)))
    ]
    pairs = [(a == b, float(u @ v)) for (a, u), (b, v) in combinations(tracks, 2)]
    within, between = [c for same, c in pairs if same], [c for same, c in pairs if not same]
    return {
        "tracks": len(tracks),
        "within_min": round(min(within), 3),
        "within_mean": round(statistics.fmean(within), 3),
        "between_max": round(max(between), 3),
        "between_mean": round(statistics.fmean(between), 3),
        "threshold": round((min(within) + max(between)) / 2, 2),
    }


def chips_of(sightings: list[Sighting], person: str, frames: range) -> list[Chip]:
    """Up to six chips, spread over the frames."""
    mine = [
        sighting.detection.chip
        for sighting in sightings
        if sighting.face.person == person and sighting.face.frame in frames and sighting.detection
    ]
    picked = np.unique(np.linspace(0, len(mine) - 1, min(len(mine), CHIPS_PER_TRACK)).round().astype(int))
    return [mine[i] for i in picked]


def prototype(embedder: ChipEmbedder, chips: list[Chip]) -> Vector:
    """The normalised mean of the normalised embeddings, [D]."""
    mean = embedder.embed(chips).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


if __name__ == "__main__":
    main()

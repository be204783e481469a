"""The default models beside their teachers, on people and clips that training never saw; prints one JSON line.

    python bench/models.py --media DIR --models DIR [--frames-apart 10] [--json]

Detector: the faces of every clip at the product's input size. Recall is over the teacher's faces of at least
40 px and a score of 0.7, where there are at least 20 of them; precision over the default's. Embedder:
verification over all pairs of the held-out people of LFW, each model reading chips by its own template, and
whether average linkage at the catalog's threshold tells the people of the family photos apart. CPU-seconds are
of one thread, interleaved. The clips that training did see are marked. Bars that are missed stand in `misses`;
the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models" / "training"))

from agreement import CONFIRMING_SCORE, Agreement, agree
from opened import ChipEmbedder, open_detector
from sources import Image, Split, frames, people, read_image
from verification import verification

from services.clusterer.linkage import average_linkage
from services.detector.detect import FaceDetector
from services.detector.face_images import Chip, cut_chip
from services.detector.families import Detections
from services.kit.inference.catalog import Catalog

TEACHERS = {"detector": "yunet-n", "embedder": "face-reidentification-retail-0095"}
ENOUGH_FACES = 20
TIMED_ROUNDS, TIMED_FRAMES, TIMED_FACES = 7, 8, 32
CLIPS = ("*.mp4", "*.mkv")

Vectors = NDArray[np.float32]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """A default model and its teacher, by name."""

    student: str
    teacher: str


def measure_detectors(catalog: Catalog, pair: Pair, media: Path, frames_apart: int) -> Figures:
    student = open_detector(catalog, pair.student)
    teacher = open_detector(catalog, pair.teacher, score_threshold=CONFIRMING_SCORE)
    trained_on = Split.load().clips_for_training
    clips: Figures = {}
    timed: list[Image] = []
    for clip in sorted(path for pattern in CLIPS for path in media.glob(pattern)):
        parts: list[Agreement] = []
        for index, image in frames(clip, frames_apart):
            parts.append(agree(teacher.detect([image])[0], student.detect([image])[0]))
            if index == 0:
                timed.append(image)
        clips[clip.name] = Agreement.total(parts).figures() | {"held_out": clip.name not in trained_on}
    cpu = _cpu_ratio(
        [partial(student.detect, [image]) for image in timed[:TIMED_FRAMES]],
        [partial(teacher.detect, [image]) for image in timed[:TIMED_FRAMES]],
    )
    return {"student": pair.student, "teacher": pair.teacher, "clips": clips} | cpu


def measure_embedders(catalog: Catalog, embedders: Pair, detectors: Pair, media: Path) -> Figures:
    """The student reads chips cut by the default detector, the teacher those cut by its own."""
    held_out = [(name, paths) for name, paths in people(media) if name in Split.load().people_held_out]
    family = _family(media)
    figures: Figures = {"student": embedders.student, "teacher": embedders.teacher}
    timed: list[Callable[[], object]] = []
    for kind in ("student", "teacher"):
        detector = open_detector(catalog, getattr(detectors, kind))
        embedder = ChipEmbedder(catalog, getattr(embedders, kind))
        labels, chips = _central_chips(detector, held_out)
        figures[f"{kind}_held_out"] = {"people": len(held_out), "faces": len(labels)} | _rounded(
            verification(embedder.embed(chips), labels)
        )
        family_labels, family_chips = _central_chips(detector, family)
        threshold = embedder.entry.face_threshold
        figures[f"{kind}_family"] = _told_apart(family_labels, embedder.embed(family_chips), threshold)
        timed.append(partial(embedder.embed, chips[:TIMED_FACES]))
    return figures | _cpu_ratio(timed[:1], timed[1:])


def _central_chips(
    detector: FaceDetector, groups: list[tuple[str, list[Path]]]
) -> tuple[NDArray[np.int32], list[Chip]]:
    """Who, and the chip of the most central face, of each photo; a photo without a face is left out."""
    labels: list[int] = []
    chips: list[Chip] = []
    for label, (_, paths) in enumerate(groups):
        for image in map(read_image, paths):
            (found,) = detector.detect([image])
            if len(found):
                labels.append(label)
                chips.append(cut_chip(image, found, _most_central(found, image)))
    return np.array(labels, np.int32), chips


def _most_central(found: Detections, image: Image) -> int:
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    return int(np.linalg.norm((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - middle, axis=1).argmin())


def _family(media: Path) -> list[tuple[str, list[Path]]]:
    """`Family1-Dad2.jpg` is the second photo of Family1-Dad; photos of groups have another name."""
    found: dict[str, list[Path]] = {}
    for path in sorted((media / "faces" / "family").glob("Family*-*.jpg")):
        found.setdefault(path.stem.rstrip("0123456789"), []).append(path)
    return list(found.items())


def _told_apart(labels: NDArray[np.int32], vectors: Vectors, threshold: float) -> Figures:
    linked = average_linkage(
        vectors, threshold=threshold, similarity=lambda rows, columns: rows @ columns.T, block_rows=1024
    )
    clusters: dict[int, set[int]] = {}
    for label, cluster in zip(labels.tolist(), linked.labels.tolist(), strict=True):
        clusters.setdefault(cluster, set()).add(label)
    return {
        "people": len(set(labels.tolist())),
        "photos": len(labels),
        "clusters": len(clusters),
        "mixed_clusters": sum(len(members) > 1 for members in clusters.values()),
    }


def _cpu_ratio(ours: list[Callable[[], object]], theirs: list[Callable[[], object]]) -> Figures:
    """Median over interleaved rounds of the CPU-seconds of each side."""
    seconds: list[tuple[float, float]] = []
    for _ in range(TIMED_ROUNDS + 1):
        marks = [time.process_time()]
        for calls in (ours, theirs):
            for call in calls:
                call()
            marks.append(time.process_time())
        seconds.append(tuple(later - earlier for earlier, later in pairwise(marks)))  # type: ignore[arg-type]
    student, teacher = (median(column) for column in zip(*seconds[1:], strict=True))
    return {"cpu_ratio": round(student / teacher, 3), "teacher_cpu_s": round(teacher, 4)}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


def misses(figures: Figures) -> Iterator[str]:
    """Every bar that is not met, with the figure."""
    for clip, found in figures["detector"]["clips"].items():
        enough = found["teacher_faces"] >= ENOUGH_FACES
        bars = [
            ("recall", found["recall"] >= 0.95 or not enough),
            ("precision", found["precision"] >= 0.95),
            ("landmark_error", found["landmark_error"] <= 0.06),
        ]
        yield from (f"{clip}: {name} {found[name]}" for name, met in bars if not met)
    if figures["detector"]["cpu_ratio"] > 1.2:
        yield f"detector: cpu_ratio {figures['detector']['cpu_ratio']}"
    embedder = figures["embedder"]
    held_out = embedder["student_held_out"]
    for name, bar in (("auc", 0.98), ("tar_at_far_1pct", 0.85)):
        if held_out[name] < bar:
            yield f"embedder: {name} {held_out[name]}"
    if embedder["student_family"]["mixed_clusters"] or embedder["cpu_ratio"] > 0.5:
        yield f"embedder: family {embedder['student_family']}, cpu_ratio {embedder['cpu_ratio']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True, help="the folder with the teachers")
    parser.add_argument("--frames-apart", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one line instead of an indented record")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    catalog = Catalog.load(args.models)
    detectors, embedders = (Pair(catalog.default(role), TEACHERS[role]) for role in ("detector", "embedder"))
    figures: Figures = {
        "detector": measure_detectors(catalog, detectors, args.media, args.frames_apart),
        "embedder": measure_embedders(catalog, embedders, detectors, args.media),
    }
    figures["misses"] = list(misses(figures))
    print(json.dumps(figures, indent=None if args.json else 2))
    return 1 if figures["misses"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""How well the sample's drawn faces are found by YuNet and told apart by embedders.

    python bench/sample_cast.py --models DIR [--detector yunet-n] [--seed 1] [--duration 40] [--json]

Draws the sample, decodes it again, and measures on every fifth frame, as the product would see it: the detector
on a picture of 640 px on the long side, chips aligned by the found landmarks, a track prototype (the mean of
six chips) per person and shot. DIR holds the detector and any of EMBEDDERS under the catalog's file names.
"""

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
import onnxruntime

from services.cli.sample import SampleTruth, write_sample
from services.cli.sample.truth import FaceBox

DETECTORS = {"yunet-n": "yunet_n_dynamic.onnx", "yunet-2023mar": "yunet_s_640_640.onnx"}
STRIDE = 5
LONG_SIDE_PX = 640
WIDE_ENOUGH_PX = 80
FOUND_SCORE, FALSE_SCORE = 0.7, 0.5
CHIPS_PER_TRACK = 6

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Embedder:
    """As the catalog names it. `template`: where the five landmarks belong, in pixels of the input;
    input = (pixel - mean) / deviation."""

    name: str
    file: str
    side_px: int
    template: Points
    is_rgb: bool
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)


OPEN_MODEL_ZOO_TEMPLATE = 128 * np.array(
    [(0.3156, 0.4616), (0.6826, 0.4598), (0.5003, 0.6405), (0.3495, 0.8247), (0.6534, 0.8232)]
)
ARCFACE_TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
EMBEDDERS = (
    Embedder(
        "face-reidentification-retail-0095",
        "face-reidentification-retail-0095.onnx",
        128,
        OPEN_MODEL_ZOO_TEMPLATE,
        is_rgb=False,
    ),
    Embedder(
        "mobilefacenet-foamliu",
        "mobilefacenet_foamliu_dynbatch.onnx",
        112,
        ARCFACE_TEMPLATE,
        is_rgb=True,
        mean=(123.675, 116.28, 103.53),
        deviation=(58.395, 57.12, 57.375),
    ),
)


@dataclass(frozen=True)
class Detection:
    """Pixels of the full picture."""

    x: float
    y: float
    w: float
    h: float
    landmarks: Points
    score: float


@dataclass(frozen=True)
class Sighting:
    """A drawn face in a sampled frame beside the detection that covers it, if one does."""

    face: FaceBox
    detection: Detection | None
    picture: Picture

    @property
    def score(self) -> float:
        return self.detection.score if self.detection else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--detector", choices=DETECTORS, default="yunet-n")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=40.0)
    parser.add_argument("--json", action="store_true", help="one line instead of a table")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    figures = measure(args.models, args.detector, args.seed, args.duration)
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:22} {value}" for name, value in figures.items()))


def measure(models: Path, detector: str, seed: int, duration_s: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "sample.mp4"
        truth = write_sample(video, seed=seed, duration_s=duration_s)
        sightings, false_positives = look(video, truth, models / DETECTORS[detector])
    figures: dict[str, object] = {
        "detector": detector,
        "seed": seed,
        "duration_s": truth.duration_s,
        "cast": len(truth.cast),
    }
    figures |= detector_figures(sightings) | {"false_positives": false_positives}
    for embedder in EMBEDDERS:
        model = models / embedder.file
        if model.is_file():
            figures[embedder.name] = embedder_figures(truth, sightings, embedder, model)
    return figures


def look(video: Path, truth: SampleTruth, model: Path) -> tuple[list[Sighting], int]:
    """Every drawn face of the sampled frames, and the number of detections away from all of them."""
    scale = LONG_SIDE_PX / max(truth.width, truth.height)
    size = (round(truth.width * scale), round(truth.height * scale))
    detector = cv2.FaceDetectorYN.create(str(model), "", size, FALSE_SCORE, 0.3, 50)
    drawn: dict[int, list[FaceBox]] = {}
    for face in truth.boxes:
        drawn.setdefault(face.frame, []).append(face)
    sightings: list[Sighting] = []
    false_positives = 0
    for index, picture in sampled(video):
        _, rows = detector.detect(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        detections = [] if rows is None else [to_detection(row / scale, float(row[14])) for row in rows]
        faces = drawn.get(index, [])
        sightings += [Sighting(face, best_cover(face, detections), picture) for face in faces]
        false_positives += sum(all(iou(face, found) < 0.3 for face in faces) for found in detections)
    return sightings, false_positives


def sampled(video: Path) -> Iterator[tuple[int, Picture]]:
    with av.open(video) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % STRIDE == 0:
                yield index, np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def to_detection(row: npt.NDArray[np.float32], score: float) -> Detection:
    x, y, w, h = (float(value) for value in row[:4])
    return Detection(x, y, w, h, row[4:14].reshape(5, 2).astype(np.float64), score)


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


def embedder_figures(
    truth: SampleTruth, sightings: list[Sighting], embedder: Embedder, model: Path
) -> dict[str, float]:
    """Cosines between the prototypes of all tracks: `within` a person, `between` two."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tracks = [
        (person, prototype(session, embedder, chips))
        for shot in truth.shots
        for person in shot.persons
        if (chips := chips_of(sightings, person, range(shot.start_frame, shot.end_frame + 1), embedder))
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


def chips_of(sightings: list[Sighting], person: str, frames: range, embedder: Embedder) -> list[Picture]:
    """Up to six aligned chips, spread over the frames."""
    mine = [s for s in sightings if s.face.person == person and s.face.frame in frames and s.detection]
    picked = np.unique(np.linspace(0, len(mine) - 1, min(len(mine), CHIPS_PER_TRACK)).round().astype(int))
    return [align(mine[i], embedder) for i in picked]


def align(sighting: Sighting, embedder: Embedder) -> Picture:
    assert sighting.detection is not None
    transform = similarity(sighting.detection.landmarks, embedder.template)
    size = (embedder.side_px, embedder.side_px)
    return np.asarray(cv2.warpAffine(sighting.picture, transform, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def similarity(source: Points, target: Points) -> Points:
    """The least-squares similarity [2, 3] (Umeyama 1991)."""
    middle, goal = source.mean(0), target.mean(0)
    u, scales, vt = np.linalg.svd((target - goal).T @ (source - middle))
    signs = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * signs) @ vt * (scales @ signs) / ((source - middle) ** 2).sum()
    return np.column_stack([turn, goal - turn @ middle])


def prototype(session: onnxruntime.InferenceSession, embedder: Embedder, chips: list[Picture]) -> Vector:
    """The normalised mean of the normalised embeddings, [D]."""
    pixels = np.stack(chips)[..., ::-1] if embedder.is_rgb else np.stack(chips)
    inputs = ((pixels - np.array(embedder.mean)) / np.array(embedder.deviation)).transpose(0, 3, 1, 2)
    name = session.get_inputs()[0].name
    embeddings = session.run(None, {name: inputs.astype(np.float32)})[0].reshape(len(chips), -1)
    mean = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float64)


if __name__ == "__main__":
    main()

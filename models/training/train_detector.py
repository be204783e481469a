"""Teaches the student detector to answer, cell by cell, as the teacher does. Resumes from its last checkpoint.

    python models/training/train_detector.py --media DIR --models DIR --steps 6000 --threads 1

The loss is quality focal loss on scores (Li et al., Generalized Focal Loss, 2020) with the teacher's score as
the target; and, where the teacher sees a face, distances of boxes in face sizes, of landmarks in eye distances.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino
import torch
from agreement import CONFIRMING_SCORE, Agreement, agree
from crops import TEACHER_DETECTOR, teacher_detector
from detector_net import STRIDES, DetectorNet
from numpy.typing import NDArray
from run_state import AveragedWeights, Learner, RunFolder, learning_rate
from scenes import Material, scene
from sources import Image, Split, frames
from torch.nn import functional

from services.detector import yunet
from services.detector.families import Detections, suppress
from services.kit.inference.catalog import Catalog

EVERY_STEPS = 500
EASY_STEPS = 1500
BOX_WEIGHT, LANDMARK_WEIGHT = 1.0, 2.0
SEEN_SCORE = 0.3
MEASURED_FRAMES_APART = {"short_hamilton_clip.mp4": 11, "episode_composite.mp4": 23}
MEASURED_PX = 640

# Per stride [B, cells, 15], as DetectorNet answers, but scores in 0..1.
Answers = list[NDArray[np.float32]]


class Teacher:
    """The teacher's raw answer for every cell, on OpenVINO."""

    def __init__(self, models: Path) -> None:
        path = Catalog.load(models).path(TEACHER_DETECTOR)
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._request = openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def answers(self, images: NDArray[np.uint8]) -> Answers:
        batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        results = self._request.infer({0: batch})
        found = {name: value for output, value in results.items() for name in output.names}
        return [self._level(found, stride) for stride in STRIDES]

    @staticmethod
    def _level(found: dict[str, NDArray[np.float32]], stride: int) -> NDArray[np.float32]:
        quality = np.clip(found[f"cls_{stride}"], 0, 1) * np.clip(found[f"obj_{stride}"], 0, 1)
        parts = [np.sqrt(quality), found[f"bbox_{stride}"], found[f"kps_{stride}"]]
        return np.concatenate(parts, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Losses:
    score: torch.Tensor
    box: torch.Tensor
    landmarks: torch.Tensor

    def total(self) -> torch.Tensor:
        return self.score + BOX_WEIGHT * self.box + LANDMARK_WEIGHT * self.landmarks


def losses(answers: list[torch.Tensor], targets: list[torch.Tensor]) -> Losses:
    answer, target = torch.cat(answers, 1).float(), torch.cat(targets, 1)
    score, wanted = answer[..., 0], target[..., 0]
    faces = wanted.sum().clamp(min=1.0)
    hardness = (torch.sigmoid(score) - wanted).abs().square()
    score_loss = (functional.binary_cross_entropy_with_logits(score, wanted, reduction="none") * hardness).sum()
    seen = wanted > SEEN_SCORE
    weight = wanted[seen][:, None]
    mine, theirs = answer[seen], target[seen]
    size = theirs[:, 3:5].exp()  # width and height of the face, in strides
    centre = (mine[:, 1:3] - theirs[:, 1:3]) / size
    shape = mine[:, 3:5] - theirs[:, 3:5]
    box_loss = (_smooth(torch.cat([centre, shape], 1)) * weight).sum()
    points = (mine[:, 5:] - theirs[:, 5:]) / _eye_distance(theirs, size)
    landmark_loss = (_smooth(points) * weight).sum()
    return Losses(3 * score_loss / faces, 4 * box_loss / faces, 4 * landmark_loss / faces)


def _eye_distance(targets: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """[N, 1], twice as far, which is about the size of a face; in profile, where eyes coincide, not zero."""
    apart = (targets[:, 7:9] - targets[:, 5:7]).norm(dim=1, keepdim=True)
    return 2 * torch.maximum(apart, 0.2 * size.mean(dim=1, keepdim=True))


def _smooth(difference: torch.Tensor) -> torch.Tensor:
    return functional.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none", beta=0.02)


class Trainer:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._folder = RunFolder(args.out / "detector")
        self._net = DetectorNet().to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=args.rate, weight_decay=0.01)
        self._learner = Learner(self._net, AveragedWeights(self._net, 0.998), optimiser)
        self._measured = list(_measured_frames(args.media, args.models))
        self._learner.restore(self._folder)

    def run(self) -> None:
        seen: list[tuple[float, float, float]] = []
        started = time.monotonic()
        for images, targets in _batches(self._args, self._learner.step):
            seen.append(self._learn(images, targets))
            self._learner.step += 1
            if self._learner.step % EVERY_STEPS == 0 or self._learner.step == self._args.steps:
                speed = len(seen) * self._args.batch / (time.monotonic() - started)
                means = [round(float(v), 4) for v in np.mean(seen, 0)]
                record = {
                    "step": self._learner.step,
                    **dict(zip(("score", "box", "landmarks"), means, strict=True)),
                }
                self._folder.log(record | self._measure() | {"scenes_per_s": round(speed, 1)})
                self._learner.save(self._folder)
                seen, started = [], time.monotonic()

    def _learn(self, images: torch.Tensor, targets: list[torch.Tensor]) -> tuple[float, float, float]:
        args = self._args
        rate = learning_rate(
            self._learner.step, peak=args.rate, warmup=300, end=args.steps, cooldown=args.cooldown
        )
        self._learner.set_rate(rate)
        self._net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answers = self._net(images.float().contiguous(memory_format=torch.channels_last))
        loss = losses(answers, targets)
        self._learner.follow(loss.total(), largest_gradient=20.0)
        return float(loss.score.detach()), float(loss.box.detach()), float(loss.landmarks.detach())

    def _measure(self) -> dict[str, float]:
        parts = [agree(teacher, detect(self._learner.average.net, image)) for image, teacher in self._measured]
        return Agreement.total(parts).figures()


def detect(net: DetectorNet | torch.nn.Module, image: Image) -> Detections:
    """Faces of one image whose sides are multiples of 32, decoded as the product does."""
    with torch.no_grad():
        levels = net.eval()(to_input(image[None]).float().contiguous(memory_format=torch.channels_last))
    outputs = {}
    for stride, level in zip(STRIDES, levels, strict=True):
        values = level.numpy()
        score = 1 / (1 + np.exp(-values[..., :1]))
        outputs |= {f"cls_{stride}": score, f"obj_{stride}": score}
        outputs |= {f"bbox_{stride}": values[..., 1:5], f"kps_{stride}": values[..., 5:]}
    boxes, scores, landmarks = yunet.decode(outputs, *image.shape[:2])
    return suppress(Detections(boxes[0], scores[0], landmarks[0]), score_threshold=0.5, nms_iou=0.3)


def to_input(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _measured_frames(media: Path, models: Path) -> Iterator[tuple[Image, Detections]]:
    """Frames of held-out clips with the teacher's faces."""
    detector = teacher_detector(models, threads=1, score_threshold=CONFIRMING_SCORE)
    for clip in Split.load().clips_held_out:
        if clip in MEASURED_FRAMES_APART:
            for _, image in frames(media / clip, MEASURED_FRAMES_APART[clip]):
                high = round(image.shape[0] * MEASURED_PX / image.shape[1] / 32) * 32
                small = np.asarray(
                    cv2.resize(image, (MEASURED_PX, high), interpolation=cv2.INTER_AREA), np.uint8
                )
                yield small, detector.detect([small])[0]


def _batches(args: argparse.Namespace, first_step: int) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """One batch a step, made ahead in a thread of its own."""
    material = Material.gather(args.media, drawn_looks=args.drawn_looks, seed=args.seed)
    teacher = Teacher(args.models)

    def make(step: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        rng = np.random.default_rng([args.seed, 23, step])
        hard = step >= EASY_STEPS
        images = np.stack([scene(material, rng, hard=hard) for _ in range(args.batch)])
        return to_input(images), [torch.from_numpy(level) for level in teacher.answers(images)]

    with ThreadPoolExecutor(1) as maker:
        ahead = maker.submit(make, first_step)
        for step in range(first_step, args.steps):
            ready = ahead.result()
            ahead = maker.submit(make, step + 1)
            yield ready
        ahead.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    parser.add_argument("--steps", type=int, default=6000, help="the step at which training ends")
    parser.add_argument("--cooldown", type=int, default=1500, help="the rate falls over the last of them")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--drawn-looks", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    Trainer(args).run()


if __name__ == "__main__":
    main()

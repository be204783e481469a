"""Teaches the student embedder to answer as the teacher does. Resumes from its last checkpoint.

    python models/training/train_embedder.py --out out/training --steps 8000 --cooldown 2000 --threads 1

Each step shows `--batch` damaged views of recipes; the loss is one minus the cosine to the teacher's vector of
the clean face, and the difference of all cosines within the batch (Park et al., Relational Knowledge
Distillation, 2019). The pool of recipes grows as targets come in; how large it is, only the step decides.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from crops import Crops
from embedder_net import EmbedderNet
from label_faces import TargetFile
from numpy.typing import NDArray
from recipes import Pantry, face
from run_state import AveragedWeights, Learner, RunFolder, learning_rate
from torch.nn import functional
from verification import verification
from views import clean_view, view

RELATIONAL_WEIGHT = 4.0
EVERY_STEPS = 250
# A recipe is new for this many steps of growth: the pool a step draws from depends on the step alone.
POOL_START, POOL_GROWTH = 8_000, 120

Batch = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    args = _arguments()
    cv2.setNumThreads(1)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    trainer = Trainer(args)
    trainer.run()


class Trainer:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._folder = RunFolder(args.out / "embedder")
        self._net = EmbedderNet().to(memory_format=torch.channels_last)
        decayed = [p for p in self._net.parameters() if p.ndim > 1]
        plain = [p for p in self._net.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=args.rate)
        self._learner = Learner(self._net, AveragedWeights(self._net, 0.999), optimiser)
        self._held_out = Crops.load(args.out / "held_out.npz")
        self._learner.restore(self._folder)

    def run(self) -> None:
        losses, started = [], time.monotonic()
        for images, targets in _batches(self._args, self._learner.step):
            losses.append(self._learn(images, targets))
            self._learner.step += 1
            if self._learner.step % EVERY_STEPS == 0 or self._learner.step == self._args.steps:
                figures = self._measure()
                speed = len(losses) * self._args.batch / (time.monotonic() - started)
                record = {"step": self._learner.step, "loss": round(float(np.mean(losses)), 4)}
                self._folder.log(
                    record | {k: round(v, 4) for k, v in figures.items()} | {"views_per_s": round(speed)}
                )
                self._learner.save(self._folder)
                losses, started = [], time.monotonic()

    def _learn(self, images: torch.Tensor, targets: torch.Tensor) -> float:
        args = self._args
        rate = learning_rate(
            self._learner.step, peak=args.rate, warmup=200, end=args.steps, cooldown=args.cooldown
        )
        self._learner.set_rate(rate)
        self._net.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answers = self._net(images.float().contiguous(memory_format=torch.channels_last))
        answers = functional.normalize(answers.float())
        direct = (1 - (answers * targets).sum(1)).mean()
        relational = (answers @ answers.T - targets @ targets.T).square().mean()
        loss = direct + RELATIONAL_WEIGHT * relational
        self._learner.follow(loss)
        return float(loss.detach())

    def _measure(self) -> dict[str, float]:
        views = np.stack([clean_view(crop) for crop in self._held_out.images])
        answers = embed(self._learner.average.net, views)
        return verification(answers, self._held_out.groups)


def embed(net: torch.nn.Module, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit vectors of views [N, H, W, 3] BGR."""
    parts = []
    with torch.no_grad():
        for i in range(0, len(views), 128):
            answers = net.eval()(
                to_input(views[i : i + 128]).float().contiguous(memory_format=torch.channels_last)
            )
            parts.append(functional.normalize(answers).numpy())
    return np.concatenate(parts)


def to_input(views: NDArray[np.uint8]) -> torch.Tensor:
    """BGR [N, H, W, 3] -> RGB [N, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(views[..., ::-1].transpose(0, 3, 1, 2)))


def _batches(args: argparse.Namespace, first_step: int) -> Iterator[Batch]:
    """One batch a step, made one ahead in a thread of its own."""
    pantry = Pantry.of(Crops.load(args.out / "faces.npz"))
    targets = TargetFile(args.out, 0)
    with ThreadPoolExecutor(1) as maker:
        ahead = maker.submit(_batch, pantry, targets, args, first_step)
        for step in range(first_step, args.steps):
            ready = ahead.result()
            ahead = maker.submit(_batch, pantry, targets, args, step + 1)
            yield ready
        ahead.cancel()


def _batch(pantry: Pantry, targets: TargetFile, args: argparse.Namespace, step: int) -> Batch:
    rng = np.random.default_rng([args.seed, 17, step])
    pool = min(len(targets), POOL_START + POOL_GROWTH * step)
    while targets.done < pool:
        time.sleep(1.0)
    numbers = rng.integers(0, pool, args.batch)
    views = np.stack([view(face(pantry, args.seed, int(number)), rng) for number in numbers])
    return to_input(views), torch.from_numpy(targets.rows(numbers))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    parser.add_argument("--steps", type=int, default=8000, help="the step at which training ends")
    parser.add_argument("--cooldown", type=int, default=2000, help="the rate falls over the last of them")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()

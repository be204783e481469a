"""The teacher's embedding of every recipe: `targets.npy`, float16 [N, 256], unit vectors. Resumes.

    python models/training/label_faces.py --models DIR --out out/training --count 70000

The teacher runs on OpenVINO here, which is its home and several times as fast as elsewhere on a CPU; with
bfloat16 where the processor has it, its vectors keep a cosine of 0.999 to those in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import openvino
from crops import MARGIN_PX, TEACHER_EMBEDDER, Crops
from numpy.typing import NDArray
from recipes import Pantry, face
from sources import Image

from services.kit.inference.catalog import Catalog

DIMENSIONS = 256
CHUNK = 512
BATCH = 32


class Teacher:
    def __init__(self, models: Path, *, threads: int = 1) -> None:
        path = Catalog.load(models).path(TEACHER_EMBEDDER)
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16"}
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        self._request = compiled.create_infer_request()

    def embed(self, crops: list[Image]) -> NDArray[np.float32]:
        """Unit vectors [N, 256] of crops [STORE_PX, STORE_PX, 3] BGR."""
        inner = slice(MARGIN_PX, -MARGIN_PX)
        batch = np.stack([crop[inner, inner] for crop in crops]).transpose(0, 3, 1, 2)
        found = self._request.infer({0: np.ascontiguousarray(batch, np.float32)})[0].reshape(len(crops), -1)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


class TargetFile:
    """Grows chunk by chunk in a file of its final size; a side file holds how much of it is there."""

    def __init__(self, out: Path, count: int) -> None:
        self._path, self._done = out / "targets.npy", out / "targets.done"
        if not self._path.exists():
            np.lib.format.open_memmap(self._path, "w+", np.float16, (count, DIMENSIONS)).flush()
        self._rows = np.lib.format.open_memmap(self._path, "r+")

    @property
    def done(self) -> int:
        return int(self._done.read_text()) if self._done.exists() else 0

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._rows[numbers], np.float32)

    def append(self, rows: NDArray[np.float32]) -> None:
        start = self.done
        self._rows[start : start + len(rows)] = rows.astype(np.float16)
        self._rows.flush()
        fresh = self._done.with_suffix(".part")
        fresh.write_text(str(start + len(rows)))
        fresh.replace(self._done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/training"))
    parser.add_argument("--count", type=int, default=70_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    pantry = Pantry.of(Crops.load(args.out / "faces.npz"))
    teacher, targets = Teacher(args.models), TargetFile(args.out, args.count)
    while (start := targets.done) < len(targets):
        numbers = range(start, min(start + CHUNK, len(targets)))
        faces = [face(pantry, args.seed, number) for number in numbers]
        parts = [teacher.embed(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
        targets.append(np.concatenate(parts))
        print(f"\r{targets.done} of {len(targets)}", end="", flush=True)
    print()


if __name__ == "__main__":
    main()

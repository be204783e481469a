"""What only a machine with an NVIDIA GPU can show, in one script without a network: `make gpu-check`.

    python tests/gpu/gpu_check.py [--models-dir DIR] [--out docs/gpu.md] [--json]

Each piece says `ok`, `failed` or `not run` with the reason; the exit status is 1 if any failed. Needs on such a
machine are this checkout, the models, and the packages of the lock with `onnxruntime-gpu[cuda,cudnn]`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.kit.errors import AcceleratorUnavailable, ScreenalyticsError
from services.kit.inference.buckets import bucket_sizes
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import OrtOptions, OrtRuntime
from services.kit.inference.placement import SHAPE_ARITHMETIC, Provider
from services.kit.inference.session import Session, Tensor

ROOT = Path(__file__).resolve().parents[2]
_ROLES = ("detector", "embedder", "similarity")
_IMAGE_PX = {"detector": (384, 640)}
_LARGEST_BATCH = 64
_REPEATS = 5
_TOLERANCE = 1e-3


@dataclass
class Piece:
    """One thing to show; `facts` stand in the report."""

    name: str
    verdict: str = "not run"
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class GpuCheck:
    def __init__(self, catalog: Catalog, models_dir: Path | None) -> None:
        self._catalog = catalog
        self._models_dir = models_dir
        self._names = {role: catalog.default(role) for role in _ROLES}
        self.device = device_name()

    def pieces(self) -> Iterator[Piece]:
        checks: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            "strict placement on CUDA": self._placement,
            "nodes that stay on the CPU": self._allow_list,
            "answers on CUDA against the CPU": self._answers,
            "throughput by batch size": self._throughput,
            "bounded arena": self._bounded_arena,
            "TensorRT": self._tensorrt,
        }
        for name, check in checks.items():
            yield self._ran(name, check) if self.device else Piece(name, detail="there is no NVIDIA GPU here")
        # A GPU that is hidden is the same as none, so this piece runs everywhere.
        yield self._ran("a hidden GPU is refused", self._hidden)

    def _ran(self, name: str, check: Callable[[], tuple[str, dict[str, Any]]]) -> Piece:
        try:
            detail, facts = check()
        except (ScreenalyticsError, AssertionError) as error:
            return Piece(name, "failed", str(error))
        return Piece(name, "ok", detail, facts)

    def _open(self, name: str, provider: Provider, options: OrtOptions | None = None) -> Session:
        runtime = OrtRuntime(self._catalog, options)
        return runtime.open(name, requested=provider, allow_cpu=False, threads=2)

    def _placement(self) -> tuple[str, dict[str, Any]]:
        facts: dict[str, Any] = {}
        for name in self._names.values():
            placement = self._open(name, Provider.CUDA).placement
            facts[name] = {**placement.nodes, "warm_up_s": placement.warm_up_s, "device": placement.device}
        return "every model runs where it was asked to", facts

    def _allow_list(self) -> tuple[str, dict[str, Any]]:
        """The rule has refused nothing above, so what is left on the CPU is allowed; here is what it is."""
        found: dict[str, Any] = {}
        for name in self._names.values():
            nodes = self._open(name, Provider.CUDA).placement.nodes
            found[name] = {"on the CPU": nodes.get("CPUExecutionProvider", 0), "in all": sum(nodes.values())}
        return f"only shape arithmetic may stay: {', '.join(sorted(SHAPE_ARITHMETIC))}", found

    def _answers(self) -> tuple[str, dict[str, Any]]:
        largest: dict[str, float] = {}
        for role, name in self._names.items():
            on_gpu, on_cpu = (self._open(name, provider) for provider in (Provider.CUDA, Provider.CPU))
            feeds = feeds_for(on_gpu, role, 5)
            ours, expected = on_gpu.run(feeds), on_cpu.run(feeds)
            largest[name] = max(
                float(np.max(np.abs(ours[output] - value) / (1 + np.abs(value))))
                for output, value in expected.items()
            )
        worst = max(largest.values())
        assert worst <= _TOLERANCE, f"answers differ by {worst:.2g}: {largest}"
        return f"largest relative difference {worst:.2g}", largest

    def _throughput(self) -> tuple[str, dict[str, Any]]:
        facts: dict[str, Any] = {}
        for role in ("detector", "embedder"):
            session = self._open(self._names[role], Provider.CUDA)
            facts[self._names[role]] = {
                str(size): round(size / self._seconds(session, feeds_for(session, role, size)))
                for size in bucket_sizes(_LARGEST_BATCH)
            }
        return "images per second, host to host", facts

    @staticmethod
    def _seconds(session: Session, feeds: dict[str, Tensor]) -> float:
        session.run(feeds)
        taken = []
        for _ in range(_REPEATS):
            started = perf_counter()
            session.run(feeds)
            taken.append(perf_counter() - started)
        return median(taken)

    def _bounded_arena(self) -> tuple[str, dict[str, Any]]:
        limit = 256 << 20
        session = self._open(self._names["embedder"], Provider.CUDA, OrtOptions(gpu_mem_limit_bytes=limit))
        session.run(feeds_for(session, "embedder", 8))
        session.verify()
        return f"the embedder runs within an arena of {limit >> 20} MiB", {}

    def _tensorrt(self) -> tuple[str, dict[str, Any]]:
        """Its libraries are a package of their own; without them the setting must be refused, not ignored."""
        try:
            placement = self._open(self._names["embedder"], Provider.CUDA, OrtOptions(tensorrt=True)).placement
        except AcceleratorUnavailable as error:
            return f"refused: {error.message}", {}
        return "runs on TensorRT", dict(placement.nodes)

    def _hidden(self) -> tuple[str, dict[str, Any]]:
        command = [sys.executable, "-m", "services.cli", "doctor", "--provider", "cuda", "--json"]
        command += ["--models-dir", str(self._models_dir)] if self._models_dir else []
        env = {name: value for name, value in os.environ.items() if not name.startswith("SCREENALYTICS_")}
        env |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
        started = perf_counter()
        ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = perf_counter() - started
        assert ended.returncode == AcceleratorUnavailable.exit_status, (
            f"exit status {ended.returncode}, expected {AcceleratorUnavailable.exit_status}: {ended.stderr[-500:]}"
        )
        findings = json.loads(ended.stdout.splitlines()[-1])["findings"]
        refused = [f["check"] for f in findings if f.get("code") == AcceleratorUnavailable.code]
        assert f"model {self._names['similarity']}" in refused, f"refused were only {refused}"
        return f"{len(refused)} models refused, exit status 3", {"seconds": round(seconds, 1)}


def feeds_for(session: Session, role: str, items: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(7)
    height, width = _IMAGE_PX.get(role, (0, 0))
    feeds: dict[str, Tensor] = {}
    for spec in session.inputs:
        free = (items, 3, height, width) if len(spec.shape) == 4 else (items, 256)
        shape = [size or free[axis] for axis, size in enumerate(spec.shape)]
        noise = rng.integers(0, 256, shape) if spec.dtype == "uint8" else rng.normal(size=shape)
        feeds[spec.name] = noise.astype(spec.dtype)
    return feeds


def device_name() -> str:
    """As the driver calls it; empty without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    asked = subprocess.run(query, capture_output=True, text=True, check=False)
    return asked.stdout.splitlines()[0].strip() if asked.returncode == 0 and asked.stdout else ""


def report(device: str, pieces: list[Piece]) -> str:
    """The page `docs/gpu.md`."""
    lines = [
        "# On a GPU",
        "",
        "Written by `make gpu-check`, which runs on a machine with an NVIDIA GPU and without a network.",
        "A piece that could not be run says so; nothing here is copied from elsewhere.",
        "",
        f"* GPU: {device or 'none'}",
        f"* ONNX Runtime {ort.__version__}",
        "",
        "| piece | verdict | found |",
        "|---|---|---|",
        *(f"| {piece.name} | {piece.verdict} | {piece.detail} |" for piece in pieces),
    ]
    for piece in pieces:
        if piece.facts:
            lines += ["", f"## {piece.name}", "", "```json", json.dumps(piece.facts, indent=2), "```"]
    return "\n".join([*lines, "", _HOW])


_HOW = """## How to run it

```
make gpu-check                          # prints; exit status 1 if a piece failed
make gpu-check OUT_FILE=docs/gpu.md     # and writes this page
```

The machine needs the packages of the lock and NVIDIA's libraries (`pip install 'screenalytics[cuda]'`). Without a
network they travel as wheels: `pip download -r requirements.lock 'onnxruntime-gpu[cuda,cudnn]' -d wheels` where there
is one, `pip install --no-index --find-links wheels ...` where there is none.

## What Triton does not tell

Triton says where the instances of a model run (`instance_group`), not where each graph node does: its ONNX Runtime
backend may leave nodes on the CPU without a word. The repository that `screenalytics models triton-repository --kind
gpu` writes insists on `KIND_GPU`, and every worker asks for it back.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, default=os.environ.get("SCREENALYTICS_MODELS__DIR"))
    parser.add_argument("--out", type=Path, help="write the page there")
    parser.add_argument("--json", action="store_true", help="one JSON line instead of lines of text")
    options = parser.parse_args()
    models_dir = Path(options.models_dir) if options.models_dir else None
    check = GpuCheck(Catalog.load(models_dir), models_dir)
    pieces = []
    for piece in check.pieces():
        pieces.append(piece)
        if not options.json:
            print(f"{piece.verdict:8} {piece.name}: {piece.detail}", flush=True)
    if options.json:
        print(json.dumps({"device": check.device, "pieces": [vars(piece) for piece in pieces]}))
    if options.out:
        options.out.write_text(report(check.device, pieces))
    return int(any(piece.verdict == "failed" for piece in pieces))


if __name__ == "__main__":
    sys.exit(main())

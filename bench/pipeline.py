"""The whole pipeline against the naive loop: wall and CPU-seconds per stage, and what was worked on.

Both run on the CPU with the same model files, stride, input size and thread cap, interleaved, `--repeats`
times; medians are printed as one JSON line. Ours is measured from the markers (CPU-seconds of each stage's
attempts, the decoder child included); `system_cpu_s` is everything the command and its children used,
PostgreSQL, NATS and process starts included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

Figures = dict[str, Any]
_NAIVE = Path(__file__).with_name("naive_loop.py")
_STAGES = ("detect_track", "faces_embed", "cluster")


def ours(video: Path, models_dir: Path | None, threads: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="screenalytics-bench-") as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = _command(video, Path(folder), models_dir, threads)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        markers = {stage: _marker(Path(folder), stage) for stage in _STAGES}
    figures: Figures = {
        "stages": {
            stage: {"wall_s": record["stages"][stage]["runtime_s"], "cpu_s": markers[stage]["cpu_seconds"]}
            for stage in _STAGES
        },
        "frames_decoded": markers["detect_track"]["frames_decoded"],
        "frames_detected": markers["detect_track"]["frames_sampled"],
        "chips": markers["detect_track"]["chips"],
        "faces_embedded": markers["faces_embed"]["faces"],
        "identities": len(record["identities"]),
        "system_cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }
    figures["wall_s"] = sum(s["wall_s"] for s in figures["stages"].values())
    figures["cpu_s"] = sum(s["cpu_s"] for s in figures["stages"].values())
    return figures


def _command(video: Path, data_dir: Path, models_dir: Path | None, threads: int) -> Figures:
    argv = [sys.executable, "-m", "services.cli", "run", str(video), "--device", "cpu", "--json"]
    argv += ["--data-dir", str(data_dir)]
    env = {**os.environ, "SCREENALYTICS_THREADS__MAX_CPU": str(threads)}
    if models_dir is not None:
        env["SCREENALYTICS_MODELS__DIR"] = str(models_dir)
    done = subprocess.run(
        argv, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _marker(data_dir: Path, stage: str) -> Figures:
    (path,) = data_dir.glob(f"store/*/runs/{stage}.json")
    return dict(json.loads(path.read_text("utf-8")))


def naive(video: Path, models_dir: Path | None, threads: int, *, is_ort_default: bool) -> Figures:
    argv = [sys.executable, str(_NAIVE), str(video), "--threads", str(threads)]
    argv += ["--ort-default"] if is_ort_default else []
    argv += ["--models-dir", str(models_dir)] if models_dir is not None else []
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def medians(runs: list[Figures]) -> Figures:
    """The median of each figure over the runs; nested figures likewise."""
    first = runs[0]
    return {
        name: medians([run[name] for run in runs])
        if isinstance(value, dict)
        else round(median(run[name] for run in runs), 3)
        for name, value in first.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--models-dir", type=Path, default=os.environ.get("SCREENALYTICS_MODELS__DIR"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="accepted for symmetry; output is always JSON")
    options = parser.parse_args()
    models_dir = None if options.models_dir is None else Path(options.models_dir)
    columns: dict[str, list[Figures]] = {"ours": [], "naive": [], "naive_ort_default": []}
    for _ in range(options.repeats):
        columns["ours"].append(ours(options.video, models_dir, options.threads))
        for name, is_default in (("naive", False), ("naive_ort_default", True)):
            columns[name].append(naive(options.video, models_dir, options.threads, is_ort_default=is_default))
    found = {name: medians(runs) for name, runs in columns.items()}
    ratios = {
        f"{figure}_naive_over_ours{suffix}": round(found[f"naive{suffix}"][figure] / found["ours"][figure], 2)
        for suffix in ("", "_ort_default")
        for figure in ("wall_s", "cpu_s")
    }
    print(json.dumps({"video": options.video.name, "threads": options.threads, **found, "ratios": ratios}))


if __name__ == "__main__":
    main()

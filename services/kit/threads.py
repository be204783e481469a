"""One cap on compute threads, never above what the cgroup and the affinity allow.

The cap drives ONNX Runtime's intra-op threads, OpenCV, FFmpeg and BLAS. Libraries that size their pools from
the machine ignore containers: with a limit of two cores, eight threads are nine times slower than one.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import cv2
import psutil
import pyarrow
from threadpoolctl import threadpool_limits

_CGROUP_ROOT = Path("/sys/fs/cgroup")


def parse_cpu_max(text: str) -> float | None:
    """Cores granted by cgroup v2's `cpu.max` ("200000 100000", or "max 100000")."""
    quota, _, period = text.strip().partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def _quota_v1(root: Path) -> float | None:
    try:
        quota = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None


def cgroup_cores(root: Path = _CGROUP_ROOT) -> float | None:
    """The CPU quota of this process's cgroup in cores; None when there is none."""
    try:
        return parse_cpu_max((root / "cpu.max").read_text())
    except (OSError, ValueError):
        return _quota_v1(root)


def available_cores(root: Path = _CGROUP_ROOT) -> int:
    """Whole cores this process may use: affinity, and the quota rounded up."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cores(root)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def thread_cap(requested: int | None, available: int) -> int:
    """The cap in force: what was asked for, and never more than there is."""
    return max(1, available if requested is None else min(requested, available))


def apply_cap(threads: int) -> None:
    """Caps the libraries that keep pools of their own: BLAS copies, OpenMP, OpenCV and Arrow."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    threadpool_limits(limits=threads)
    cv2.setNumThreads(threads)
    pyarrow.set_cpu_count(threads)


def process_threads() -> int:
    return int(psutil.Process().num_threads())


def process_cpu_seconds() -> float:
    """User and system time of this process and its ended children, in seconds."""
    return float(sum(psutil.Process().cpu_times()[:4]))

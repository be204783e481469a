"""One cap on compute, never above what the cgroup and the affinity allow.

The cap drives ONNX Runtime's intra-op threads, OpenCV, FFmpeg and BLAS. Libraries that size their pools from
the machine ignore containers: with a limit of two cores, eight threads are nine times slower than one. Pools
of the right size still add up, as a decoder beside an inference does, so work on the CPU is also confined to
as many cores as the cap says: the sum of it then cannot exceed the cap.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import psutil
import pyarrow
from threadpoolctl import threadpool_limits

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_OWN_THREADS = Path("/proc/self/task")


def parse_cpu_max(text: str) -> float | None:
    """Cores granted by cgroup v2's `cpu.max` ("200000 100000", or "max 100000")."""
    quota, _, period = text.strip().partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def own_cgroups(text: str) -> tuple[str, str]:
    """(v2 path, v1 path of the controller cpu) of `/proc/self/cgroup`; `/` where it tells none."""
    v2, v1 = "/", "/"
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            v2 = path
        elif "cpu" in controllers.split(","):
            v1 = path
    return v2, v1


def cgroup_cores(root: Path = _CGROUP_ROOT, own: Path = _OWN_CGROUPS) -> float | None:
    """The smallest CPU quota of this process's cgroup and those above it, in cores; None when there is none."""
    v2, v1 = own_cgroups(_text(own) or "")
    quotas = [_quota_v2(folder) for folder in _and_above(root, v2)]
    quotas += [_quota_v1(folder) for folder in _and_above(root / "cpu", v1)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _and_above(root: Path, path: str) -> Iterator[Path]:
    """Inside a container the path may be one of the host's, of which only the root is mounted."""
    folder = root / path.strip("/")
    yield folder
    while folder != root:
        folder = folder.parent
        yield folder


def _quota_v2(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        return parse_cpu_max((folder / "cpu.max").read_text())
    return None


def _quota_v1(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else None
    return None


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text()
    return None


def available_cores(root: Path = _CGROUP_ROOT) -> int:
    """Whole cores this process may use: affinity, and the quota rounded up."""
    affinity = len(own_cores()) or os.cpu_count() or 1
    quota = cgroup_cores(root)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def own_cores() -> list[int]:
    """The cores this thread may run on; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


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
    pyarrow.set_io_thread_count(threads)


@contextmanager
def confined(threads: int) -> Iterator[None]:
    """Every thread of this process, and every child started meanwhile, shares `threads` cores.

    Which cores depends on the process, so that workers side by side do not all choose the same. Does nothing
    where there are no more cores than that, or where the system cannot confine.
    """
    before = own_cores()
    if threads >= len(before):
        yield
        return
    first = os.getpid() % len(before)
    _move_all_threads({(before + before)[first + step] for step in range(threads)})
    try:
        yield
    finally:
        _move_all_threads(before)


def _move_all_threads(cores: Collection[int]) -> None:
    """A thread that starts meanwhile has its parent's cores, so the list is read until it has nothing new."""
    moved: set[str] = set()
    while unmoved := {entry.name for entry in _OWN_THREADS.iterdir()} - moved:
        for thread_id in unmoved:
            with suppress(ProcessLookupError):  # it has ended since
                os.sched_setaffinity(int(thread_id), cores)
        moved |= unmoved


def process_threads() -> int:
    """Threads of this process and its children, whatever they were started for."""
    process = psutil.Process()
    return int(process.num_threads()) + sum(map(_threads_of, process.children(recursive=True)))


def _threads_of(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.num_threads())
    return 0


def process_cpu_seconds() -> float:
    """User and system time of this process and its ended children, in seconds."""
    return float(sum(psutil.Process().cpu_times()[:4]))

"""Libraries that make their threads when they are loaded, one per core of the machine, whatever is granted."""

from __future__ import annotations

import os

# OpenBLAS comes with NumPy, SciPy and OpenCV, a copy each; Tokio is the object store's.
_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
)


def hold_library_pools() -> None:
    """One thread each, unless the environment says otherwise. Call before those libraries are imported.

    What the cap grants beyond that is given to them later, by `threads.apply_cap`.
    """
    for name in _POOLS:
        os.environ.setdefault(name, "1")

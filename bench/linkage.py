"""Exact average linkage by reciprocal merges beside SciPy on synthetic track prototypes; prints one JSON line.

    python bench/linkage.py [--sizes 2000 5000] [--large] [--json]

Each run is a process of its own, so that its peak memory is its own; `peak_mb` is what the clustering added to
the process. `ari` compares the two partitions where both ran, and ours with the truth. `--large` adds 20,000
tracks, where SciPy needs about 5 GB and is left out.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from services.clusterer.linkage import average_linkage
from services.clusterer.similarity import session_similarity
from services.kit.inference.catalog import Catalog
from services.kit.inference.ort import open_session
from services.kit.inference.placement import Provider

_DIMENSIONS = 256
_TRACKS_PER_PERSON = 15
_WITHIN_COSINE = 0.6
_THRESHOLD = 0.35
_BLOCK_ROWS = 2048

Labels = NDArray[np.int64]


def synthetic(count: int, seed: int = 1) -> tuple[NDArray[np.float32], Labels]:
    """Unit vectors [N, 256] of people whose tracks have a mean cosine of 0.6, and whose they are."""
    rng = np.random.default_rng(seed)
    people = rng.integers(0, max(1, count // _TRACKS_PER_PERSON), count)
    centres = _unit(rng.standard_normal((people.max() + 1, _DIMENSIONS)))
    noise = _unit(rng.standard_normal((count, _DIMENSIONS)))
    spread = np.sqrt(1 / _WITHIN_COSINE - 1)
    return _unit(centres[people] + spread * noise).astype(np.float32), people


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def ours(vectors: NDArray[np.float32]) -> tuple[Labels, dict[str, Any]]:
    path = Catalog.load(None).path("similarity")
    session = open_session(path, requested=Provider.CPU, allow_cpu=True, threads=1)
    found = average_linkage(
        vectors,
        threshold=_THRESHOLD,
        similarity=session_similarity(session, lambda: None),
        block_rows=_BLOCK_ROWS,
    )
    return found.labels, {"rounds": found.rounds, "passes": round(found.compared / len(vectors) ** 2, 2)}


def scipy_average(vectors: NDArray[np.float32]) -> tuple[Labels, dict[str, Any]]:
    tree = linkage(vectors, "average", metric="cosine")
    return fcluster(tree, 1 - _THRESHOLD, "distance").astype(np.int64), {}


METHODS = {"ours": ours, "scipy": scipy_average}


def child(method: str, count: int, labels_path: Path) -> None:
    vectors, _ = synthetic(count)
    METHODS[method](vectors[:50])  # libraries load and warm up outside the measurement
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = perf_counter()
    labels, facts = METHODS[method](vectors)
    seconds = perf_counter() - started
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    np.save(labels_path, labels)
    facts |= {"seconds": round(seconds, 2), "peak_mb": round(peak_kb / 1024, 1)}
    print(json.dumps(facts | {"clusters": int(labels.max() + (method == "ours"))}))


def measure(count: int, methods: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"tracks": count}
    labels = {"truth": synthetic(count)[1]}
    with tempfile.TemporaryDirectory() as folder:
        for method in methods:
            path = Path(folder) / f"{method}.npy"
            command = [sys.executable, __file__, "--child", method, str(count), str(path)]
            row[method] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            labels[method] = np.load(path)
    row["ari_truth"] = round(adjusted_rand_score(labels["truth"], labels["ours"]), 6)
    if "scipy" in labels:
        row["ari_scipy"] = round(adjusted_rand_score(labels["scipy"], labels["ours"]), 6)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[2000, 5000])
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json", action="store_true", help="taken for uniformity: the output is JSON always")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        method, count, path = options.child
        child(method, int(count), Path(path))
        return 0
    rows = [measure(count, ["ours", "scipy"]) for count in options.sizes]
    if options.large:
        rows.append(measure(20_000, ["ours"]))
    print(json.dumps({"bench": "linkage", "threshold": _THRESHOLD, "threads": 1, "runs": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

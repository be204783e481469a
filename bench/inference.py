"""In-process ONNX Runtime, a real Triton server, and a plain loop, by batch size; prints one JSON line.

    python bench/inference.py --models-dir DIR [--items 64] [--repeats 3] [--threads 1] [--json]

Same model files, same images, same threads, one client. `naive` scales each image with NumPy and calls
`session.run` on it alone, whatever the batch size; the other two are given uint8 batches. `cpu_ms_per_item`
counts the server's processes too. Speeds are ratios to the naive loop of the same run; medians of interleaved
repeats. Without a Triton server (`make triton`) its column says what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.triton_server import TritonServer, running_triton, what_is_missing
from services.cli.models.options import Backend, InstanceKind
from services.cli.models.triton_repository import write_repository
from services.kit.inference.catalog import Catalog, DetectorEntry, EmbedderEntry
from services.kit.inference.images import to_batch
from services.kit.inference.ort import OrtRuntime
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session, TensorSpec
from services.kit.inference.triton import TritonClient, TritonOptions, TritonRuntime

_DETECTOR_SIZE = (384, 640)  # a 16:9 frame at the balanced profile's long side, padded to strides
BATCH_SIZES = (1, 8, 32)

Images = NDArray[np.uint8]
Entry = DetectorEntry | EmbedderEntry


@dataclass(frozen=True)
class Column:
    """`run` takes uint8 [B, H, W, 3]; `cpu_s` is the CPU time so far of all processes that work for it."""

    name: str
    run: Callable[[Images], None]
    cpu_s: Callable[[], float]


def images_for(entry: Entry, count: int) -> Images:
    size = _DETECTOR_SIZE if isinstance(entry, DetectorEntry) else (entry.size_px, entry.size_px)
    return np.random.default_rng(1).integers(0, 256, (count, *size, 3), np.uint8)


def naive(path: Path, entry: Entry, threads: int) -> Column:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    spec = TensorSpec(name, entry.input_dtype, ())

    def run(images: Images) -> None:
        for image in images:
            session.run(None, {name: to_batch([image], entry, spec)})

    return Column("naive", run, process_time)


def ours(session: Session, entry: Entry, name: str, cpu_s: Callable[[], float]) -> Column:
    def run(images: Images) -> None:
        session.run({session.inputs[0].name: to_batch(list(images), entry, session.inputs[0])})

    return Column(name, run, cpu_s)


def with_server(server: TritonServer) -> float:
    """CPU-seconds of this process, the server and the processes of its backend."""
    process = psutil.Process(server.process.pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return process_time() + sum(one.user + one.system for one in times)


def measure(column: Column, images: Images, batch: int) -> tuple[float, float]:
    """(seconds, CPU-seconds) for all images, `batch` at a time."""
    started, cpu = perf_counter(), column.cpu_s()
    for first in range(0, len(images), batch):
        column.run(images[first : first + batch])
    return perf_counter() - started, column.cpu_s() - cpu


def rows(columns: list[Column], images: Images, repeats: int) -> Iterator[dict[str, Any]]:
    for batch in BATCH_SIZES:
        found: dict[str, list[tuple[float, float]]] = {column.name: [] for column in columns}
        for column in columns:
            column.run(images[:batch])
        for _ in range(repeats):
            for column in columns:
                found[column.name].append(measure(column, images, batch))
        seconds = {name: median(run[0] for run in runs) for name, runs in found.items()}
        cpu = {name: median(run[1] for run in runs) for name, runs in found.items()}
        yield {
            "batch": batch,
            **{
                name: {
                    "ms_per_item": round(1e3 * seconds[name] / len(images), 3),
                    "cpu_ms_per_item": round(1e3 * cpu[name] / len(images), 3),
                    "speed_over_naive": round(seconds["naive"] / seconds[name], 2),
                }
                for name in found
            },
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, default=os.environ.get("SCREENALYTICS_MODELS__DIR"))
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="taken for uniformity: the output is JSON always")
    options = parser.parse_args()
    catalog = Catalog.load(Path(options.models_dir) if options.models_dir else None)
    names = [catalog.default(role) for role in ("detector", "embedder")]
    missing = what_is_missing()
    result: dict[str, Any] = {"bench": "inference", "threads": options.threads, "items": options.items}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None if missing else stack.enter_context(_triton(catalog, names, folder, options.threads))
        for name in names:
            entry = catalog.entry(name)
            assert isinstance(entry, DetectorEntry | EmbedderEntry)
            columns = list(_columns(catalog, entry, server, options.threads))
            result[name] = list(rows(columns, images_for(entry, options.items), options.repeats))
            if server is not None:
                counted = TritonClient(TritonOptions(server.grpc_url)).statistics(name)
                result[f"{name} on the server"] = asdict(counted)
    print(json.dumps({**result, **({"triton": f"not run: {missing}"} if missing else {})}))
    return 0


def _triton(catalog: Catalog, names: list[str], folder: Path, threads: int) -> Any:
    repository = folder / "repository"
    write_repository(catalog, repository, names, kind=InstanceKind.CPU, backend=Backend.PYTHON, threads=threads)
    return running_triton(repository, folder / "work")


def _columns(catalog: Catalog, entry: Entry, server: TritonServer | None, threads: int) -> Iterator[Column]:
    asked: dict[str, Any] = {"requested": Provider.CPU, "allow_cpu": False, "threads": threads}
    yield naive(catalog.path(entry.name), entry, threads)
    yield ours(OrtRuntime(catalog).open(entry.name, **asked), entry, "onnxruntime", process_time)
    if server is not None:
        remote = TritonRuntime(catalog, TritonOptions(server.grpc_url, deadline_s=120))
        yield ours(remote.open(entry.name, **asked), entry, "triton", lambda: with_server(server))


if __name__ == "__main__":
    sys.exit(main())

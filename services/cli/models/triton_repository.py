"""A model repository for Triton, from the catalog: what `screenalytics models triton-repository` writes.

Where each model runs is written out in its `instance_group`: left to itself, Triton fills in the CPU when it
sees no GPU. The model's digest stands in the parameters, where a worker asks for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from services.cli.models.options import Backend, InstanceKind
from services.kit.errors import InvalidSettings
from services.kit.inference.buckets import MAX_BATCH
from services.kit.inference.catalog import Catalog, CatalogEntry, default_cache_dir
from services.kit.inference.ort import OrtOptions, OrtRuntime
from services.kit.inference.pixel_head import ready_to_run
from services.kit.inference.placement import Provider
from services.kit.inference.session import Session, TensorSpec
from services.kit.inference.signature import takes_batches

_PYTHON_MODEL = Path(__file__).with_name("triton_python_model.py")
_QUEUE_DELAY_US = 1000


def write_repository(
    catalog: Catalog,
    folder: Path,
    names: list[str],
    *,
    kind: InstanceKind,
    backend: Backend,
    threads: int,
    cache_dir: Path | None = None,
) -> list[Path]:
    """The folder of each model. Raises `ModelUnusable`, `InvalidSettings` when it cannot be written."""
    cache = cache_dir or default_cache_dir()
    runtime = OrtRuntime(catalog, OrtOptions(cache_dir=cache))
    written = []
    try:
        for name in names:
            session = runtime.open(name, requested=Provider.CPU, allow_cpu=True, threads=1)
            file = ready_to_run(catalog.path(name), catalog.entry(name), cache)
            config = model_config(catalog.entry(name), session, kind=kind, backend=backend, threads=threads)
            written.append(_write_model(folder / name, file, config, backend))
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be written: {error.strerror}") from error
    return written


def _write_model(folder: Path, file: Path, config: str, backend: Backend) -> Path:
    version = folder / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, version / "model.onnx")
    if backend is Backend.PYTHON:
        shutil.copyfile(_PYTHON_MODEL, version / "model.py")
    (folder / "config.pbtxt").write_text(config)
    return folder


def model_config(
    entry: CatalogEntry, session: Session, *, kind: InstanceKind, backend: Backend, threads: int
) -> str:
    """The `config.pbtxt` of one model."""
    is_batched = takes_batches(entry, session.inputs, session.outputs)
    largest = (getattr(entry, "max_batch", None) or MAX_BATCH) if is_batched else 0
    lines = [
        f'name: "{entry.name}"',
        f'backend: "{backend}"',
        f"max_batch_size: {largest}",
        *_tensors("input", session.inputs, is_batched=is_batched),
        *_tensors("output", session.outputs, is_batched=is_batched),
        f"instance_group [ {{ kind: KIND_{kind.upper()} count: 1 }} ]",
        *_parameters({"sha256": entry.sha256, "intra_op_thread_count": str(threads)}),
    ]
    if is_batched:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_DELAY_US} }}")
    return "\n".join(lines) + "\n"


def _tensors(word: str, specs: tuple[TensorSpec, ...], *, is_batched: bool) -> Iterator[str]:
    yield f"{word} ["
    for place, spec in enumerate(specs):
        shape = spec.shape[1:] if is_batched else spec.shape
        dims = ", ".join("-1" if size is None else str(size) for size in shape)
        comma = "," if place < len(specs) - 1 else ""
        yield f'  {{ name: "{spec.name}" data_type: {_DATA_TYPES[spec.dtype]} dims: [ {dims} ] }}{comma}'
    yield "]"


_DATA_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8", "int64": "TYPE_INT64"}


def _parameters(values: dict[str, str]) -> Iterator[str]:
    for key, value in values.items():
        yield f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}'

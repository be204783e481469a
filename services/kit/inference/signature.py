"""What a graph's inputs and outputs must be for its catalog entry to be true. Pure.

A graph that does not fit is refused before its first task, whichever runtime holds it: with wrong shapes the
best that could happen is an error in the middle of a video.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.kit.inference.catalog import CatalogEntry, DetectorEntry, EmbedderEntry, SimilarityEntry
from services.kit.inference.session import TensorSpec

Shape = tuple[int | None, ...]

_YUNET_LAST_AXES = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_STRIDES = (8, 16, 32)
# A graph may come with its scaling composed into it, and takes plain pixels then.
_PIXELS = "uint8"


def signature_fault(
    entry: CatalogEntry, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> str | None:
    """Why the graph is not the one that `entry` describes; None when it is."""
    match entry:
        case DetectorEntry():
            return _image_input_fault(entry, _detector_shape(entry), inputs) or _detector_fault(entry, outputs)
        case EmbedderEntry():
            shape = (None, 3, entry.size_px, entry.size_px)
            return _image_input_fault(entry, shape, inputs) or _embedder_fault(entry, outputs)
        case SimilarityEntry():
            return _similarity_fault(inputs, outputs)


def takes_batches(entry: CatalogEntry, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bool:
    """Whether axis 0 of every input and output is a number of images that may vary."""
    if isinstance(entry, SimilarityEntry) or entry.max_batch == 1:
        return False
    return all(spec.shape and spec.shape[0] is None for spec in (*inputs, *outputs))


def _detector_shape(entry: DetectorEntry) -> Shape:
    return (None, 3, *(entry.fixed_size_px or (None, None)))


def _image_input_fault(
    entry: DetectorEntry | EmbedderEntry, expected: Shape, inputs: Sequence[TensorSpec]
) -> str | None:
    if len(inputs) != 1:
        return f"it has {len(inputs)} inputs, and a {entry.role} has one"
    (spec,) = inputs
    if spec.dtype not in {entry.input_dtype, _PIXELS}:
        return f"its input {spec.name} is {spec.dtype}, the catalog says {entry.input_dtype}"
    if not _fits(spec.shape, expected):
        return f"its input {spec.name} is {shown(spec.shape)}, the catalog says {shown(expected)}"
    if spec.shape and spec.shape[0] not in (None, entry.max_batch):
        return f"its input takes {spec.shape[0]} images at once: the catalog must say max_batch"
    return None


def _detector_fault(entry: DetectorEntry, outputs: Sequence[TensorSpec]) -> str | None:
    if entry.family == "scrfd":
        last_axes = sorted(spec.shape[-1] or 0 for spec in outputs if spec.shape)
        expected = sorted(axis for axis in (1, 4, 10) for _ in _STRIDES)
        return None if last_axes == expected else f"its outputs are not scrfd's nine: {_listed(outputs)}"
    by_name = {spec.name: spec for spec in outputs}
    for name, last_axis in ((f"{n}_{s}", axis) for s in _STRIDES for n, axis in _YUNET_LAST_AXES.items()):
        if name not in by_name:
            return f"it has no output {name}, which yunet has: {_listed(outputs)}"
        if not _fits(by_name[name].shape, (None, None, last_axis)):
            return f"its output {name} is {shown(by_name[name].shape)}, and yunet's has last axis {last_axis}"
    return None


def _embedder_fault(entry: EmbedderEntry, outputs: Sequence[TensorSpec]) -> str | None:
    if not outputs:
        return "it has no output"
    dimensions = 1
    for size in outputs[0].shape[1:]:
        dimensions *= size or entry.dimensions
    if outputs[0].shape and dimensions != entry.dimensions:
        return (
            f"its output {outputs[0].name} is {shown(outputs[0].shape)}, "
            f"the catalog says {entry.dimensions} dimensions"
        )
    return None


def _similarity_fault(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str | None:
    names = ([spec.name for spec in inputs], [spec.name for spec in outputs])
    if names != (["rows", "columns"], ["similarities"]):
        return f"it maps {_listed(inputs)} to {_listed(outputs)}, not rows and columns to similarities"
    for spec in (*inputs, *outputs):
        if spec.dtype != "float32" or not _fits(spec.shape, (None, None)):
            return f"its {spec.name} is {spec.dtype} {shown(spec.shape)}, not float32 [?, ?]"
    return None


def _fits(shape: Shape, expected: Shape) -> bool:
    """A size that either side leaves open fits; a graph that does not tell its rank fits anything."""
    if not shape:
        return True
    return len(shape) == len(expected) and all(
        has is None or wants is None or has == wants for has, wants in zip(shape, expected, strict=True)
    )


def shown(shape: Shape) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _listed(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {shown(spec.shape)}" for spec in specs) or "nothing"

"""Normalisation inside the graph: a model that takes float32 is given a head that takes plain pixels.

The head is uint8 [B, 3, H, W] BGR in; then the model's channel order, its mean and its std. A quarter of the
bytes travel to the device, and no core of the worker scales images. The composed file is made once and kept in
a cache folder under the digest of the model and of what the head does.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from services.kit.inference.catalog import CatalogEntry, ChannelOrder, DetectorEntry, EmbedderEntry
from services.kit.inference.placement import PIXEL_NODE_PREFIX

_HEAD_VERSION = 1
_INPUT = "pixels"
# From here on operators broadcast as NumPy does.
_LOWEST_OPSET = 7

ImageEntry = DetectorEntry | EmbedderEntry


def ready_to_run(path: Path, entry: CatalogEntry, cache_dir: Path) -> Path:
    """The verified file at `path`, with a head where its entry says float32.

    A file that no head fits is returned as it is: its images are scaled outside, and a file that is no model is
    refused by the runtime that loads it.
    """
    if not isinstance(entry, DetectorEntry | EmbedderEntry) or entry.input_dtype != "float32":
        return path
    cached = cache_dir / f"{entry.name}-{_cache_key(entry)}.onnx"
    if cached.is_file():
        return cached
    composed = with_pixel_head(path.read_bytes(), entry)
    if composed is None:
        return path
    return _kept(cached, composed)


def with_pixel_head(model: bytes, entry: ImageEntry) -> bytes | None:
    """The model behind a head; None where none fits."""
    try:
        graph_file = onnx.load_model_from_string(model)
    except (DecodeError, ValueError):
        return None
    graph = graph_file.graph
    constants = {initializer.name for initializer in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    opset = max((o.version for o in graph_file.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if len(inputs) != 1 or opset < _LOWEST_OPSET or _INPUT in _names(graph):
        return None
    _put_head_on(graph, inputs[0], entry)
    composed: bytes = graph_file.SerializeToString()
    return composed


def _put_head_on(graph: onnx.GraphProto, old_input: onnx.ValueInfoProto, entry: ImageEntry) -> None:
    """The head's last value has the name of the old input, so nothing behind it has to change."""
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if entry.channels is ChannelOrder.RGB:
        _constant(graph, "reversed", np.array([2, 1, 0], np.int64))
        steps.append(("Gather", ["reversed"], {"axis": 1}))
    steps.append(("Cast", [], {"to": TensorProto.FLOAT}))
    if any(entry.mean):
        _constant(graph, "mean", np.asarray(entry.mean, np.float32)[:, None, None])
        steps.append(("Sub", ["mean"], {}))
    if any(value != 1.0 for value in entry.std):
        _constant(graph, "std", np.asarray(entry.std, np.float32)[:, None, None])
        steps.append(("Div", ["std"], {}))
    nodes, current = [], _INPUT
    for place, (operator, constants, attributes) in enumerate(steps):
        is_last = place == len(steps) - 1
        result = old_input.name if is_last else PIXEL_NODE_PREFIX + operator.lower()
        operands = [current, *(PIXEL_NODE_PREFIX + name for name in constants)]
        name = f"{PIXEL_NODE_PREFIX}{operator}"
        nodes.append(helper.make_node(operator, operands, [result], name=name, **attributes))
        current = result
    new_input = onnx.ValueInfoProto()
    new_input.CopyFrom(old_input)
    new_input.name = _INPUT
    new_input.type.tensor_type.elem_type = TensorProto.UINT8
    rest = list(graph.node)
    others = [value for value in graph.input if value.name != old_input.name]
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *rest])
    graph.input.extend([new_input, *others])


def _constant(graph: onnx.GraphProto, name: str, value: np.typing.NDArray[np.generic]) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), PIXEL_NODE_PREFIX + name))


def _names(graph: onnx.GraphProto) -> set[str]:
    values = {name for node in graph.node for name in (*node.input, *node.output)}
    return values | {value.name for value in (*graph.input, *graph.output)}


def _cache_key(entry: ImageEntry) -> str:
    said = (_HEAD_VERSION, entry.sha256, entry.channels.value, entry.mean, entry.std)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def _kept(target: Path, content: bytes) -> Path:
    """Readers see the whole file or none. A cache that cannot be written is no reason not to work."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _written(target, content)
    except OSError:
        own = _own_folder() / target.name
        return own if own.is_file() else _written(own, content)


@cache
def _own_folder() -> Path:
    """Of this process, and gone with it: models are opened again and again, with other caps on threads."""
    folder = tempfile.TemporaryDirectory(prefix="screenalytics-models-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _written(target: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return target

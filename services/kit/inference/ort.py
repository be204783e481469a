"""ONNX Runtime in this process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort

from services.kit.errors import AcceleratorUnavailable, InvalidSettings, ModelUnusable, StageFailed
from services.kit.inference.placement import (
    Node,
    Placement,
    Provider,
    count_nodes,
    execution_provider,
    fault_of,
    unavailable,
)
from services.kit.inference.session import Session, Tensor, TensorSpec

log = logging.getLogger(__name__)

_NUMPY_DTYPE = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}


class OrtSession:
    """One model on one provider; made by `open_session`, which has verified where it executes."""

    def __init__(self, session: ort.InferenceSession, placement: Placement) -> None:
        self._session = session
        self._placement = placement
        self._inputs = tuple(_spec(value) for value in session.get_inputs())
        self._outputs = tuple(_spec(value) for value in session.get_outputs())
        self._output_names = [spec.name for spec in self._outputs]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    @property
    def placement(self) -> Placement:
        return self._placement

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        try:
            values = self._session.run(self._output_names, dict(feeds))
        except Exception as error:  # the runtime raises opaque classes of its own
            raise StageFailed(f"ONNX Runtime refused the input: {error}") from error
        return dict(zip(self._output_names, values, strict=True))


def open_session(path: Path, *, requested: Provider, allow_cpu: bool, threads: int) -> Session:
    """A warm session whose every node executes where `requested` says, or on the CPU if `allow_cpu`.

    Raises `AcceleratorUnavailable` with what was found, `ModelUnusable` for a file that is no usable graph.
    """
    _refuse_two_distributions()
    try:
        return _open_on(path, requested, threads=threads, requested=requested, reason="")
    except AcceleratorUnavailable as error:
        if requested is Provider.CPU or not allow_cpu:
            raise
        log.warning("falling back to the CPU, as allowed: %s", error.message)
        return _open_on(path, Provider.CPU, threads=threads, requested=requested, reason=error.message)


def _open_on(path: Path, provider: Provider, *, threads: int, requested: Provider, reason: str) -> OrtSession:
    session = _build(path, provider, threads)
    nodes = _assigned_nodes(session)
    fault = fault_of(provider, session.get_providers(), nodes)
    if fault is not None:
        raise unavailable(provider, fault, tried=f"ONNX Runtime {ort.__version__} with {path.name}")
    session.disable_fallback()
    placement = Placement(
        requested=requested,
        effective=provider,
        runtime=f"onnxruntime {ort.__version__}",
        device=_device_name(provider),
        nodes=count_nodes(nodes),
        reason=reason,
    )
    opened = OrtSession(session, placement)
    _warm_up(opened, path)
    return opened


def _build(path: Path, provider: Provider, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # a failed provider is judged by the placement, not by stderr
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers: list[Any] = [execution_provider(Provider.CPU)]
    if provider is Provider.CUDA:
        ort.preload_dlls()
        providers.insert(0, (execution_provider(provider), {"use_tf32": "0"}))
    try:
        # From bytes, so that a graph cannot make the runtime read other files as external data.
        return ort.InferenceSession(path.read_bytes(), options, providers=providers)
    except Exception as error:  # the runtime raises opaque classes of its own
        if provider is Provider.CUDA and "CUDA" in str(error):
            raise unavailable(provider, str(error), tried=f"ONNX Runtime {ort.__version__}") from error
        raise ModelUnusable(f"{path} is not a model that ONNX Runtime can load: {error}") from error


def _assigned_nodes(session: ort.InferenceSession) -> list[Node]:
    return [
        Node(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]


def _warm_up(session: OrtSession, path: Path) -> None:
    """One inference, so that a provider that only breaks when used breaks before any task."""
    feeds = {spec.name: np.zeros(_warm_shape(spec), spec.dtype) for spec in session.inputs}
    started = perf_counter()
    session.run(feeds)
    log.debug("warmed %s in %.0f ms", path.name, (perf_counter() - started) * 1e3)


def _warm_shape(spec: TensorSpec) -> tuple[int, ...]:
    image = len(spec.shape) == 4
    return tuple(size or (64 if image and axis >= 2 else 1) for axis, size in enumerate(spec.shape))


def _spec(value: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape)
    return TensorSpec(value.name, _NUMPY_DTYPE.get(value.type, value.type), shape)


def _device_name(provider: Provider) -> str:
    return "cpu" if provider is Provider.CPU else "cuda:0"


def _refuse_two_distributions() -> None:
    """Both wheels own the same files; installed together, CUDA usually disappears without a word."""
    installed = {dist.metadata["Name"].lower() for dist in distributions() if dist.metadata["Name"]}
    if {"onnxruntime", "onnxruntime-gpu"} <= installed:
        raise InvalidSettings(
            "both onnxruntime and onnxruntime-gpu are installed; they overwrite each other",
            hint="pip uninstall both, then install onnxruntime-gpu alone",
        )

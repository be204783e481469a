"""Triton's Python backend runs this file, outside of this project's process: ONNX Runtime on `model.onnx`.

Its instance runs where its `instance_group` says, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

Feeds = dict[str, Any]

_EXECUTION_PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider"}


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        wanted = _EXECUTION_PROVIDERS[args["model_instance_kind"]]
        folder = Path(args["model_repository"]) / args["model_version"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = _threads(args)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(
            (folder / "model.onnx").read_bytes(), options, providers=_providers(wanted, args)
        )
        found = self.session.get_providers()[0]
        if found != wanted:
            raise pb_utils.TritonModelException(f"the session runs on {found}, not on {wanted}")
        self.session.disable_fallback()
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.has_batch_axis = json.loads(args["model_config"])["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """One call for all requests that Triton's batcher put together and whose shapes agree."""
        feeds = [_feeds(request) for request in requests]
        if not self.has_batch_axis or len({_shapes(one) for one in feeds}) > 1:
            return [self._respond(self._run(one)) for one in feeds]
        together = {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}
        values = self._run(together)
        ends = np.cumsum([len(next(iter(one.values()))) for one in feeds])
        starts = [0, *ends[:-1]]
        return [
            self._respond([value[start:end] for value in values])
            for start, end in zip(starts, ends, strict=True)
        ]

    def _run(self, feeds: Feeds) -> list[Any]:
        values: list[Any] = self.session.run(self.outputs, feeds)
        return values

    def _respond(self, values: list[Any]) -> Any:
        tensors = [
            pb_utils.Tensor.from_dlpack(name, np.ascontiguousarray(value))
            for name, value in zip(self.outputs, values, strict=True)
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _threads(args: Mapping[str, str]) -> int:
    parameters = json.loads(args["model_config"]).get("parameters", {})
    return int(parameters.get("intra_op_thread_count", {}).get("string_value", "1"))


def _providers(wanted: str, args: Mapping[str, str]) -> list[Any]:
    if wanted == "CPUExecutionProvider":
        return [wanted]
    options = {"device_id": args["model_instance_device_id"], "use_tf32": "0"}
    return [(wanted, options), "CPUExecutionProvider"]


def _feeds(request: Any) -> Feeds:
    """By DLPack, since the backend's own NumPy bridge may be built for another NumPy."""
    return {tensor.name(): np.from_dlpack(tensor) for tensor in request.inputs()}


def _shapes(feeds: Feeds) -> tuple[Any, ...]:
    return tuple(values.shape[1:] for values in feeds.values())

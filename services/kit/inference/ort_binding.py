"""Inputs and outputs of ONNX Runtime bound to device memory that is used again for every batch of a shape."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort

from services.kit.inference.session import Tensor

# Buckets keep the shapes of a model few; a second frame size of a video adds as many again.
_SHAPES_KEPT = 16

_Key = tuple[tuple[str, tuple[int, ...], str], ...]


class DeviceBinding:
    """`device` is ONNX Runtime's word: `cuda`, or `cpu`. One run at a time, since the buffers are shared."""

    def __init__(self, session: ort.InferenceSession, device: str, device_id: int) -> None:
        self._session = session
        self._device = device
        self._device_id = device_id
        self._held: OrderedDict[_Key, tuple[Any, dict[str, Any]]] = OrderedDict()
        self._running = threading.Lock()

    def run(self, feeds: Mapping[str, Tensor]) -> list[Tensor]:
        """All outputs, in the graph's order."""
        with self._running:
            binding, buffers = self._bound(feeds)
            for name, values in feeds.items():
                buffers[name].update_inplace(np.ascontiguousarray(values))
            self._session.run_with_iobinding(binding)
            outputs: list[Tensor] = binding.copy_outputs_to_cpu()
            return outputs

    def _bound(self, feeds: Mapping[str, Tensor]) -> tuple[Any, dict[str, Any]]:
        key = tuple((name, values.shape, str(values.dtype)) for name, values in sorted(feeds.items()))
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        while len(self._held) >= _SHAPES_KEPT:
            self._held.popitem(last=False)
        self._held[key] = self._made(feeds)
        return self._held[key]

    def _made(self, feeds: Mapping[str, Tensor]) -> tuple[Any, dict[str, Any]]:
        binding = self._session.io_binding()
        buffers = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(
                list(values.shape), values.dtype, self._device, self._device_id
            )
            for name, values in feeds.items()
        }
        for name, buffer in buffers.items():
            binding.bind_ortvalue_input(name, buffer)
        for output in self._session.get_outputs():
            binding.bind_output(output.name, self._device, self._device_id)
        return binding, buffers

"""Running one model in ONNX Runtime, and judging where it executes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime as ort

from services.kit.errors import StageFailed
from services.kit.inference.ort_binding import DeviceBinding
from services.kit.inference.placement import Node, Placement, Provider, count_nodes, fault_of, unavailable
from services.kit.inference.session import Tensor, TensorSpec, tiny_feeds

_NUMPY_DTYPE = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}


class OrtSession:
    """One model on one provider. `open_session` makes it and has verified where it executes."""

    def __init__(
        self,
        session: ort.InferenceSession,
        placement: Placement,
        *,
        name: str = "model",
        binding: DeviceBinding | None = None,
        tensorrt: bool = False,
    ) -> None:
        self._session = session
        self._placement = placement
        self._name = name
        self._binding = binding
        self._tensorrt = tensorrt
        self._inputs = tuple(spec_of(value) for value in session.get_inputs())
        self._outputs = tuple(spec_of(value) for value in session.get_outputs())
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
            values = self._binding.run(feeds) if self._binding else self._session.run(self._output_names, feeds)
        except Exception as error:  # the runtime raises opaque classes of its own
            if self._placement.effective is not Provider.CPU:
                self.verify()  # bad input leaves a device that still works, a lost device does not
            raise StageFailed(f"ONNX Runtime refused the input of {self._name}: {error}") from error
        return dict(zip(self._output_names, values, strict=True))

    def verify(self) -> None:
        judge(self._session, self._placement.effective, model=self._name, tensorrt=self._tensorrt)
        try:
            self._session.run(self._output_names, tiny_feeds(self._inputs))
        except Exception as error:  # the runtime raises opaque classes of its own
            raise unavailable(
                self._placement.effective,
                f"it has stopped working: {error}",
                tried="one tiny inference",
                model=self._name,
            ) from error


def judge(
    session: ort.InferenceSession,
    requested: Provider,
    *,
    model: str,
    tensorrt: bool = False,
    said: str = "",
) -> dict[str, int]:
    """Nodes per execution provider of a session that executes where it was asked to.

    `said`: what the runtime told of itself while it started.
    Raises `AcceleratorUnavailable` with what the runtime claims and what it really does.
    """
    nodes = _assigned_nodes(session)
    fault = fault_of(requested, session.get_providers(), nodes, tensorrt=tensorrt)
    if fault is None:
        return count_nodes(nodes)
    claimed = f"ONNX Runtime claims device {ort.get_device()} with {', '.join(ort.get_available_providers())}"
    claimed += f"; it {said}" if said else ""
    raise unavailable(
        requested, fault, tried=f"a session of ONNX Runtime {ort.__version__}", model=model, claimed=claimed
    )


def _assigned_nodes(session: ort.InferenceSession) -> list[Node]:
    """None are told by a session that was not asked to record them, nor by an old runtime.

    For a GPU that is a fault (`fault_of`), so silence is never taken for a node that runs there.
    """
    try:
        parts = session.get_provider_graph_assignment_info()
    except Exception:  # noqa: BLE001 - the runtime raises opaque classes of its own
        return []
    return [Node(node.name, node.op_type, part.ep_name) for part in parts for node in part.get_nodes()]


def spec_of(value: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape)
    return TensorSpec(value.name, _NUMPY_DTYPE.get(value.type, value.type), shape)

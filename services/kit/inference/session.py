"""What runs a model, whatever the runtime: ONNX Runtime in this process, or Triton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from services.kit.inference.placement import Placement

Tensor = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """`shape` has None where a dimension is dynamic; `dtype` is NumPy's name."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(Protocol):
    """Thread-safe for `run`; built warm, placed and verified."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def placement(self) -> Placement: ...

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name. Raises `StageFailed` when the runtime refuses, with its reason."""

"""What runs a model, whatever the runtime: ONNX Runtime in this process, or Triton."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.kit.inference.buckets import Piece, pieces
from services.kit.inference.placement import Placement, Provider

Tensor = NDArray[Any]

# A dynamic side of an image in a warm-up: a multiple of every stride.
_WARM_SIDE_PX = 64


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """`shape` has None where a dimension is dynamic; `dtype` is NumPy's name."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(Protocol):
    """Thread-safe; built warm, placed and verified."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def placement(self) -> Placement: ...

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name.

        Raises `StageFailed` when the runtime refuses, with its reason, and `AcceleratorUnavailable` or
        `InferenceUnavailable` when what the session runs on is gone.
        """

    def verify(self) -> None:
        """Asks again where the model runs, and runs it on a tiny input.

        Raises `AcceleratorUnavailable`, `InferenceUnavailable`.
        """


def tiny_feeds(inputs: tuple[TensorSpec, ...]) -> dict[str, Tensor]:
    """Zeros of the smallest shape that each input takes."""
    return {spec.name: np.zeros(_tiny_shape(spec), spec.dtype) for spec in inputs}


def _tiny_shape(spec: TensorSpec) -> tuple[int, ...]:
    is_image = len(spec.shape) == 4
    return tuple(
        size or (_WARM_SIDE_PX if is_image and axis >= 2 else 1) for axis, size in enumerate(spec.shape)
    )


@dataclass(frozen=True, slots=True)
class Inference:
    """One call of a runtime, as metrics tell it: `items` is the size of axis 0."""

    model: str
    provider: Provider
    items: int
    seconds: float


Observe = Callable[[Inference], None]


class _Wrapped:
    """What a session around another one says of it."""

    def __init__(self, inner: Session) -> None:
        self._inner = inner

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inner.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._inner.outputs

    @property
    def placement(self) -> Placement:
        return self._inner.placement

    def verify(self) -> None:
        self._inner.verify()


class ObservedSession(_Wrapped):
    """Tells of every call."""

    def __init__(self, inner: Session, model: str, observe: Observe) -> None:
        super().__init__(inner)
        self._model = model
        self._observe = observe

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        started = perf_counter()
        values = self._inner.run(feeds)
        items = len(next(iter(feeds.values())))
        seconds = perf_counter() - started
        self._observe(Inference(self._model, self.placement.effective, items, seconds))
        return values


class BatchedSession(_Wrapped):
    """Runs batches of any size on a session that takes at most `largest` items, padded to buckets on a GPU.

    Only for graphs in which axis 0 of every input and output counts the items.
    """

    def __init__(self, inner: Session, largest: int, *, is_padded: bool) -> None:
        super().__init__(inner)
        self._largest = largest
        self._is_padded = is_padded

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        count = len(next(iter(feeds.values())))
        parts = [
            self._run_piece(feeds, piece) for piece in pieces(count, self._largest, is_padded=self._is_padded)
        ]
        if len(parts) < 2:
            return parts[0] if parts else self._inner.run(feeds)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run_piece(self, feeds: Mapping[str, Tensor], piece: Piece) -> dict[str, Tensor]:
        held = piece.stop - piece.start
        cut = {name: _padded(values[piece.start : piece.stop], piece.size) for name, values in feeds.items()}
        values = self._inner.run(cut)
        return {name: value[:held] for name, value in values.items()} if held < piece.size else values


def _padded(values: Tensor, size: int) -> Tensor:
    missing = size - len(values)
    if missing <= 0:
        return values
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])

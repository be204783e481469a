"""A user's own graph as a catalog entry: what it says, what its family implies, what the user adds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.cli.models.options import Channels, Family
from services.kit.errors import InvalidInput
from services.kit.inference.catalog import CatalogEntry
from services.kit.inference.session import TensorSpec

_ENTRY: TypeAdapter[CatalogEntry] = TypeAdapter(CatalogEntry)
# InsightFace's five points for 112 px, as shares of the side; its detectors and embedders share one scaling.
_ARCFACE_TEMPLATE = [
    (0.341916, 0.461574), (0.656534, 0.459834), (0.500225, 0.640505),
    (0.370976, 0.824692), (0.631517, 0.823250),
]  # fmt: skip
_NON_COMMERCIAL = "non-commercial"


_IMPLIED: dict[Family, dict[str, Any]] = {
    Family.YUNET: {"role": "detector", "family": "yunet", "channels": "bgr", "size_multiple_px": 32},
    Family.SCRFD: {
        "role": "detector",
        "family": "scrfd",
        "channels": "rgb",
        "mean": [127.5] * 3,
        "std": [128.0] * 3,
        "size_multiple_px": 32,
        "max_batch": 1,
    },
    Family.ARCFACE: {
        "role": "embedder",
        "channels": "rgb",
        "mean": [127.5] * 3,
        "std": [127.5] * 3,
        "template": _ARCFACE_TEMPLATE,
    },
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the graph cannot say. None leaves it to the family."""

    name: str
    licence: str
    source: str
    family: Family
    channels: Channels | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    face_threshold: float = 0.35
    track_threshold: float = 0.35


def described(
    answers: Answers, sha256: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> CatalogEntry:
    """Raises `InvalidInput`."""
    fields = {
        **_IMPLIED[answers.family],
        "name": answers.name,
        "file": f"{answers.name}.onnx",
        "sha256": sha256,
        "licence": answers.licence,
        "source": answers.source,
        "tags": [_NON_COMMERCIAL] if _NON_COMMERCIAL in answers.licence.lower() else [],
        **{key: value for key in ("channels", "mean", "std") if (value := getattr(answers, key)) is not None},
        **_read_from(answers, inputs, outputs),
    }
    try:
        return _ENTRY.validate_python(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        raise InvalidInput(f"the model cannot be described: {faults}") from error


def _read_from(
    answers: Answers, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> dict[str, Any]:
    shape = inputs[0].shape if inputs else ()
    if len(inputs) != 1 or len(shape) != 4 or not outputs:
        raise InvalidInput("a face model has one image as input, of shape [batch, 3, height, width]")
    batch, _, height, width = shape
    read: dict[str, Any] = {"input_dtype": inputs[0].dtype}
    if batch is not None:
        read["max_batch"] = batch
    if answers.family is Family.ARCFACE:
        read["size_px"] = height or width or 112
        read["dimensions"] = outputs[0].shape[-1] if outputs[0].shape else None
        read |= {"face_threshold": answers.face_threshold, "track_threshold": answers.track_threshold}
    elif height is not None and width is not None:
        read["fixed_size_px"] = [height, width]
    return read
